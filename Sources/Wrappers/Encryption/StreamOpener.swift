// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import CGpgme
import Programs
import Synchronization

/// Decrypts a signed message of any length with the secret keys of one GnuPG folder, and says who signed it.
public struct StreamOpener: Sendable {
    private let home: String?

    /// - Parameter home: the GnuPG folder; nil: `GNUPGHOME`, else `~/.gnupg`.
    public init(home: String? = nil) {
        self.home = home
    }

    /// Feeds gpg with what `feed` writes (on a thread that may block) and lets `body` read the plain bytes. Nothing of
    /// them is proven before this returns: do nothing lasting in `body`.
    ///
    /// - Returns: what `body` gave, and the primary fingerprint of the one key that signed. Whether that one is trusted
    ///   is for the caller to compare.
    /// - Throws: `EncryptionError.noSecretKey`, `.keyLocked`, `.damaged`, `.signature…`; `CancellationError`; what `feed`
    ///   and `body` throw.
    public func open<Result: Sendable>(
        feed: @escaping @Sendable (any ByteSink) throws -> Void,
        _ body: @escaping @Sendable (PlainBytes) async throws -> Result
    ) async throws -> (result: Result, signer: String) {
        let (ended, report) = try await GpgStream.run(["--decrypt"], home: home) { pipes in
            let (input, plain) = (GpgInput(pipes), PlainBytes(pipes))
            async let fed = Blocking.run { Self.feed(feed, input, pipes) }
            let outcome: Swift.Result<Result, any Error>
            do {
                let result = try await body(plain)
                // A body that was content too early has missed something.
                guard try await Blocking.run({ try plain.isAtEnd() }) else {
                    throw EncryptionError.damaged("there is something behind its end")
                }
                outcome = .success(result)
            } catch { outcome = .failure(error) }
            let isWhole = plain.hasEnded
            // A gpg that still writes would wait for a reader for ever, and the feeder for gpg.
            try? pipes.closeOutput()
            return Ended(outcome: outcome, isWhole: isWhole, feeding: try await fed)
        }
        if let failure = ended.feeding { throw failure }
        // What a body says of the end of its input is an echo of what made gpg end.
        if case .failure(let error) = ended.outcome, !ended.isWhole { throw error }
        let signer = try Self.signer(report)
        return (try ended.outcome.get(), signer)
    }

    private struct Ended<Result: Sendable>: Sendable {
        var outcome: Swift.Result<Result, any Error>
        var isWhole: Bool
        var feeding: (any Error)?
    }

    private static func feed(
        _ body: (any ByteSink) throws -> Void, _ input: GpgInput, _ pipes: ChildPipes
    ) -> (any Error)? {
        // That gpg stopped reading is for its status to explain.
        defer { try? pipes.closeInput() }
        do { try body(input) } catch { return input.isGone ? nil : error }
        return nil
    }

    /// Who signed, once gpg said of everything that it was well.
    private static func signer(_ report: GpgStream.Report) throws(EncryptionError) -> String {
        let isDecrypted = report.has("DECRYPTION_OKAY")
        if !isDecrypted {
            try checkUnlocked(report)
            let missing = report.all("NO_SECKEY").compactMap { $0.first.map(String.init) }
            if !missing.isEmpty { throw .noSecretKey(missing) }
            if !report.has("BEGIN_DECRYPTION"), report.has("NODATA") { throw .damaged("it is no encrypted message") }
        }
        guard isDecrypted, report.has("GOODMDC"), !report.has("BADMDC"), !report.has("DECRYPTION_FAILED"),
            report.all("PLAINTEXT").count == 1
        else { throw .damaged(report.lastWords) }
        if let unknown = report.all("ERRSIG").first {
            throw .signatureByUnknownKey(String(unknown.last ?? ""))
        }
        if report.has("BADSIG") { throw .signatureBad }
        for (keyword, error) in [
            ("EXPKEYSIG", EncryptionError.signatureByExpiredKey), ("REVKEYSIG", EncryptionError.signatureByRevokedKey),
            ("EXPSIG", EncryptionError.signatureExpired),
        ] {
            if let key = report.all(keyword).first?.first { throw error(String(key)) }
        }
        let valid = report.all("VALIDSIG")
        guard report.all("NEWSIG").count == 1, report.all("GOODSIG").count == 1, valid.count == 1,
            let signer = valid.first?.last, signer.count >= 40
        else { throw .signatureMissing }
        guard report.exit.code == 0 else { throw .damaged(report.lastWords) }
        return String(signer)
    }

    /// Throws when the agent has the key but could not use it: wrong passphrase, nobody there to ask, card not there.
    private static func checkUnlocked(_ report: GpgStream.Report) throws(EncryptionError) {
        guard
            let text = report.all("ERROR").first(where: { $0.first == "pkdecrypt_failed" })?.dropFirst().first,
            let error = UInt32(text)
        else { return }
        // gpg-error.h: the low 16 bits; bit 15 marks a system error, such as that pinentry found no terminal.
        let code = error & 0xffff
        let refusals = [
            GPG_ERR_BAD_PASSPHRASE, GPG_ERR_TIMEOUT, GPG_ERR_NO_PIN_ENTRY, GPG_ERR_CANCELED, GPG_ERR_FULLY_CANCELED,
        ]
        if code >= 0x8000 || refusals.contains(where: { $0.rawValue == code }) { throw .keyLocked(report.lastWords) }
    }
}

/// The plain bytes of a message as gpg gives them; the calls block. Nothing of it is proven yet.
public final class PlainBytes: Sendable {
    private let pipes: ChildPipes
    private let ended = Mutex(false)

    init(_ pipes: ChildPipes) {
        self.pipes = pipes
    }

    /// Reads some bytes; 0 when gpg gave all it had, for whatever reason.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try pipes.read(into: buffer)
        if count == 0 { ended.withLock { $0 = true } }
        return count
    }

    var hasEnded: Bool { ended.withLock { $0 } }

    func isAtEnd() throws -> Bool {
        if hasEnded { return true }
        return try withUnsafeTemporaryAllocation(byteCount: 16, alignment: 16) { try read(into: $0) == 0 }
    }
}
