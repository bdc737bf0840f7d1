// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

/// The files and the process of a scratch server that runs beside a live server reached through a transport: it is in the
/// same network there, and of the same version. The RDB and what identifies the server stay on this host as well.
struct FarScratch: Sendable {
    let directory: String
    let transport: any Transport

    /// A new folder's name.
    static func directory() -> String {
        "/tmp/salvor-redis-" + String(UInt64.random(in: .min ... .max), radix: 36)
    }

    /// Makes the folder, mode 0700, with the configuration and the RDB, whole.
    func make(configuration: String, dump: String) async throws {
        let script = "umask 077; mkdir -- \"$1\" && cat >\"$1/redis.conf\" && sync"
        _ = try await transport.output(
            of: Program("sh", ["-c", script, "salvor", directory]), input: Array(configuration.utf8))
        let program = Program(
            "sh", ["-c", "umask 077; cat >\"$1/dump.rdb\" && wc -c <\"$1/dump.rdb\"", "salvor", directory])
        let (text, exit) = try await transport.run(program) { pipes in
            try await Blocking.run {
                let file = open(dump, O_RDONLY | O_CLOEXEC)
                guard file >= 0 else { throw Failure(.localInput, "unable to open '\(dump)'") }
                defer { close(file) }
                var buffer = [UInt8](repeating: 0, count: 1 << 20)
                while true {
                    let count = read(file, &buffer, buffer.count)
                    guard count >= 0 else { throw Failure(.localInput, "unable to read '\(dump)'") }
                    if count == 0 { break }
                    try buffer.withUnsafeBytes { try pipes.write(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
                }
                try pipes.closeInput()
                var printed: [UInt8] = []
                try pipes.forEachChunk { printed.append(contentsOf: $0) }
                return String(decoding: printed, as: UTF8.self)
            }
        }
        try exit.requireSuccess(of: program, hint: "Is there room in /tmp beside the server?")
        let size = try await Blocking.run { DurableFile.size(of: dump) }
        guard let size, text.filter(\.isNumber) == String(size) else {
            throw Failure(.restoreFailed, "the copy in \(directory) of \(transport.description) is not whole")
        }
    }

    /// Whether the server's process is there.
    func isAlive() async -> Bool {
        let script = "read -r p <\"$1/redis.pid\" 2>/dev/null && kill -0 \"$p\" 2>/dev/null && echo yes || echo no"
        // What cannot be reached is as good as gone; the next step tells why.
        let words = try? await transport.output(of: Program("sh", ["-c", script, "salvor", directory]))
        return words.map { $0.starts(with: Array("yes".utf8)) } ?? false
    }

    /// The end of the server's log.
    func log() async throws -> [UInt8] {
        try await transport.output(
            of: Program("sh", ["-c", "tail -c 8192 \"$1/redis.log\" 2>/dev/null || :", "salvor", directory]))
    }

    /// Ends the server if it is still there, and removes its files.
    func remove() async throws {
        let script = """
            if read -r p <"$1/redis.pid" && [ "/proc/$p/cwd" -ef "$1" ]; then
                t=0; kill -TERM "$p"; while kill -0 "$p" && [ $t -lt 10 ]; do sleep 1; t=$((t + 1)); done; kill -KILL "$p"
            fi 2>/dev/null
            rm -rf -- "$1"
            """
        _ = try await transport.output(of: Program("sh", ["-c", script, "salvor", directory]))
    }
}
