// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Glibc
import Programs
import Synchronization

/// The `gpg` program, run once per message on raw pipes: about twice as fast as gpgme's data objects, which move 4 KiB at
/// a time.
enum GpgProgram {
    /// What one run gave. `gpg` may exit with 0 and still have done nothing, so callers look at `status` too.
    struct Outcome: Sendable {
        var output: [UInt8]
        /// More came out than `capacity`; the rest was thrown away.
        var isOverflowing: Bool
        /// All input was taken.
        var tookInput: Bool
        /// The lines of `--status-fd` (doc/DETAILS of GnuPG), without their prefix.
        var status: [String]
        var exit: ChildProgram.Exit

        var succeeded: Bool { exit.code == 0 && tookInput && !isOverflowing }

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

    /// Neither terminal nor the user's gpg.conf may change what happens.
    private static let commonArguments = ["--batch", "--no-tty", "--status-fd", "2"]
    private static let withoutOptions = ["--no-options"]

    /// Messages in English, since they end up in errors; and the terminal on which gpg-agent may ask for a passphrase,
    /// which it cannot find out in a session of its own.
    private static let environment: [String: String] = {
        var environment = ["LC_ALL": "C"]
        if getenv("GPG_TTY") == nil {
            var name = [CChar](repeating: 0, count: 256)
            if ttyname_r(STDIN_FILENO, &name, name.count) == 0 {
                environment["GPG_TTY"] = name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } }
            }
        }
        return environment
    }()

    /// Runs `gpg`, writing `input` and reading its output at the same time.
    ///
    /// - Parameters:
    ///   - home: the GnuPG folder; nil: `GNUPGHOME`, else `~/.gnupg`.
    ///   - capacity: the most output to keep.
    ///   - readsOptions: whether the user's gpg.conf counts, as it does where keys are looked up and where the user may have
    ///     said how a passphrase is found.
    ///   - mayAsk: whether gpg may wait for somebody who enters a passphrase; with public keys only there is nobody to ask.
    /// - Throws: `EncryptionError.programMissing`, `CancellationError`.
    static func run(
        _ arguments: [String], home: String?, input: [UInt8], capacity: Int, readsOptions: Bool = false,
        mayAsk: Bool = true
    ) async throws -> Outcome {
        let status = Mutex<[String]>([])
        let place = (readsOptions ? [] : withoutOptions) + (home.map { ["--homedir", $0] } ?? [])
        do {
            let (result, exit) = try await ChildProgram.run(
                "gpg", commonArguments + place + arguments, environment: environment, endsWithItsPipes: !mayAsk,
                standardErrorLine: { line in
                    guard line.starts(with: Array("[GNUPG:] ".utf8)) else { return }
                    // A hostile message could make gpg talk without end.
                    status.withLock {
                        if $0.count < 4096 { $0.append(String(decoding: line.dropFirst(9), as: UTF8.self)) }
                    }
                },
                { pipes in
                    async let written = Blocking.run { write(input, to: pipes) }
                    let read = try await Blocking.run { try readAll(from: pipes, capacity: capacity) }
                    return (read.bytes, read.isOverflowing, try await written)
                })
            return Outcome(
                output: result.0, isOverflowing: result.1, tookInput: result.2, status: status.withLock { $0 },
                exit: exit)
        } catch let error as ChildProgram.NotStarted {
            throw EncryptionError.programMissing(error.reason)
        }
    }

    /// Whether everything was taken. An error can only mean that gpg stopped reading; why is for its status to say.
    private static func write(_ input: [UInt8], to pipes: ChildPipes) -> Bool {
        do {
            try input.withUnsafeBytes { if !$0.isEmpty { try pipes.write($0) } }
            try pipes.closeInput()
            return true
        } catch {
            return false
        }
    }

    private static func readAll(
        from pipes: ChildPipes, capacity: Int
    ) throws -> (bytes: [UInt8], isOverflowing: Bool) {
        var isOverflowing = false
        let bytes = try LargeArrays.make(max(1, capacity)) { buffer, filled in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            while filled < capacity {
                let count = try pipes.read(into: UnsafeMutableRawBufferPointer(rebasing: raw[filled..<capacity]))
                if count == 0 { return }
                filled += count
            }
            // Drained, not left: a blocked gpg would never read its input to the end.
            try withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { scratch in
                while try pipes.read(into: scratch) > 0 { isOverflowing = true }
            }
        }
        return (bytes, isOverflowing)
    }
}
