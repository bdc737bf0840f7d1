// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import Programs

/// Signs and encrypts a stream of any length as one OpenPGP message, readable by any gpg of the last 15 years: AES-256, no
/// compression, integrity protected, the signature inside.
public struct StreamSealer: Sendable {
    /// Whom it encrypts to.
    public let recipients: [Recipient]
    /// The primary fingerprint of the key that signs.
    public let signer: String
    private let home: String?
    private let folder: PrivateHome
    private let arguments: [String]

    /// - Parameters:
    ///   - recipients: each was looked up in a `Keyring`.
    ///   - signer: fingerprint of a secret key of `keyring`.
    /// - Throws: `EncryptionError` when one of the keys cannot do its part today, or there is no recipient.
    public init(recipients: [Recipient], signer: String, in keyring: Keyring) async throws {
        guard !recipients.isEmpty else { throw EncryptionError.noRecipients }
        for recipient in recipients { try recipient.key.checkCanEncrypt() }
        self.recipients = recipients
        self.signer = try await keyring.signingKey(signer).fingerprint
        home = keyring.home
        folder = try PrivateHome(prefix: "salvor-seal")
        var files: [String] = []
        for (index, recipient) in recipients.enumerated() {
            files += ["--recipient-file", try folder.write("\(index).gpg", recipient.publicKey)]
        }
        // --rfc4880 comes first, since it resets the options behind it; it is what keeps gpg 2.4 from choosing OCB.
        arguments =
            [
                "--rfc4880", "--compress-algo", "none", "--cipher-algo", "AES256", "--trust-model", "always",
                "--no-auto-check-trustdb", "--local-user", self.signer,
            ] + files + ["--sign", "--encrypt"]
    }

    /// One message around what `body` writes to its sink, given to `output` piece by piece.
    ///
    /// - Throws: `EncryptionError.sealFailed`, `.signingFailed` unless gpg said by status and exit that all was done;
    ///   `CancellationError`; what `body` and `output` throw.
    public func seal(
        into output: any ByteSink, _ body: @escaping @Sendable (any ByteSink) async throws -> Void
    ) async throws {
        let (ended, report) = try await GpgStream.run(arguments, home: home) { pipes in
            let input = GpgInput(pipes)
            async let drained: Void = Blocking.run { try Self.drain(pipes, to: output, input) }
            var failure: (any Error)?
            do { try await body(input) } catch { failure = error }
            // In any case: gpg then ends by itself, and so does the draining. Its status tells what it missed.
            try? pipes.closeInput()
            try await drained
            return Ended(failure: input.failure ?? (input.isGone ? nil : failure))
        }
        if let failure = ended.failure { throw failure }
        guard report.exit.code == 0, report.has("END_ENCRYPTION"), report.has("SIG_CREATED"), !report.has("INV_RECP"),
            report.all("BEGIN_ENCRYPTION").first?.elementsEqual(["2", "9"]) == true
        else {
            if report.has("INV_SGNR") || report.all("FAILURE").contains(where: { $0.first == "sign" }) {
                throw EncryptionError.signingFailed(report.lastWords)
            }
            throw EncryptionError.sealFailed(report.lastWords)
        }
    }

    private struct Ended: Sendable {
        var failure: (any Error)?
    }

    /// Reads all that gpg writes; once `output` fails, the rest is thrown away, so that gpg never stands still.
    private static func drain(_ pipes: ChildPipes, to output: any ByteSink, _ input: GpgInput) throws {
        try withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 16) { buffer in
            while true {
                let count = try pipes.read(into: buffer)
                if count == 0 { return }
                guard input.failure == nil else { continue }
                do { try output.write(UnsafeRawBufferPointer(rebasing: buffer[..<count])) } catch { input.fail(error) }
            }
        }
    }
}
