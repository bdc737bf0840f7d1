// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CGpgme
import Glibc
import Programs
import Synchronization

/// `gpg` on pipes around one long message that never lies in memory.
enum GpgStream {
    /// What gpg said and how it ended; it may exit with 0 and still have done nothing.
    struct Report: Sendable {
        /// The lines of `--status-fd` (doc/DETAILS of GnuPG), without their prefix.
        var status: [String]
        var exit: ChildProgram.Exit

        /// The arguments of every status line with that keyword.
        func all(_ keyword: String) -> [[Substring]] {
            status.map { $0.split(separator: " ") }.filter { $0.first == Substring(keyword) }.map {
                Array($0.dropFirst())
            }
        }

        func has(_ keyword: String) -> Bool { !all(keyword).isEmpty }

        /// The last lines meant for people, for errors.
        var lastWords: String {
            let lines = String(decoding: exit.standardError, as: UTF8.self).split(separator: "\n")
                .filter { !$0.hasPrefix("[GNUPG:]") }
            let ended = exit.signal.map { "ended by signal \($0)" } ?? "exit status \(exit.code ?? -1)"
            return lines.isEmpty ? ended : lines.suffix(3).joined(separator: "; ")
        }
    }

    /// Starts `gpg`, gives its pipes to `body` and waits for both.
    ///
    /// - Parameter home: the GnuPG folder; nil: `GNUPGHOME`, else `~/.gnupg`.
    /// - Throws: `EncryptionError.programMissing`, `CancellationError`, what `body` throws.
    static func run<Result: Sendable>(
        _ arguments: [String], home: String?, _ body: @escaping @Sendable (ChildPipes) async throws -> Result
    ) async throws -> (Result, Report) {
        let status = Mutex<[String]>([])
        // Neither terminal nor the user's gpg.conf may change what happens.
        let common =
            ["--batch", "--no-tty", "--no-options", "--status-fd", "2"] + (home.map { ["--homedir", $0] } ?? [])
        do {
            let (result, exit) = try await ChildProgram.run(
                "gpg", common + arguments, environment: environment,
                standardErrorLine: { line in
                    guard line.starts(with: Array("[GNUPG:] ".utf8)) else { return }
                    // A hostile message could make gpg talk without end.
                    status.withLock {
                        if $0.count < 4096 { $0.append(String(decoding: line.dropFirst(9), as: UTF8.self)) }
                    }
                }, body)
            return (result, Report(status: status.withLock { $0 }, exit: exit))
        } catch let error as ChildProgram.NotStarted {
            throw EncryptionError.programMissing(error.reason)
        }
    }

    /// Messages in English, since they end up in errors; and the terminal on which gpg-agent may ask for a passphrase,
    /// which it cannot find out in a session of its own.
    private static var environment: [String: String] {
        var environment = ["LC_ALL": "C"]
        if getenv("GPG_TTY") == nil {
            var name = [CChar](repeating: 0, count: 256)
            if ttyname_r(STDIN_FILENO, &name, name.count) == 0 {
                environment["GPG_TTY"] = name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } }
            }
        }
        return environment
    }
}

/// gpg's standard input as a sink that remembers whether gpg stopped taking bytes.
final class GpgInput: ByteSink {
    /// gpg reads no more; why is for its status to say.
    struct Gone: Error {}

    private let pipes: ChildPipes
    private let state = Mutex((isGone: false, failure: (any Error)?.none))

    init(_ pipes: ChildPipes) {
        self.pipes = pipes
    }

    var isGone: Bool { state.withLock { $0.isGone } }

    /// Makes the next write throw `error`.
    func fail(_ error: any Error) {
        state.withLock { if $0.failure == nil { $0.failure = error } }
    }

    /// What `fail` was told.
    var failure: (any Error)? { state.withLock { $0.failure } }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard !bytes.isEmpty else { return }
        if let failure { throw failure }
        do {
            try pipes.write(bytes)
        } catch {
            state.withLock { $0.isGone = true }
            throw Gone()
        }
    }
}
