// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Transports

/// What every transport must do, tried on a real one.
struct TransportContract {
    var transport: any Transport
    /// Runs a shell command beside the source by other means than the transport, and gives what it prints.
    var beside: @Sendable (String) async throws -> String

    func all() async throws {
        try await outputAndStatus()
        try await arguments()
        try await secrets()
        try await large()
        try await missing()
        try await cancellation()
        try await failingBody()
    }

    /// Output, standard error and the exit status are the far program's own.
    func outputAndStatus() async throws {
        for status: Int32 in [0, 1, 7, 255] {
            let (bytes, exit) = try await transport.outputAndExit(
                of: Program("sh", ["-c", "cat; echo why >&2; exit \(status)"]), input: Array("hello".utf8))
            #expect(bytes == Array("hello".utf8))
            #expect(exit.status == .exited(status), "\(transport.description)")
            #expect(exit.lastWords == "why")
        }
        let killed = try await transport.outputAndExit(of: Program("sh", ["-c", "kill -KILL $$"])).1
        #expect(!killed.isSuccess)
    }

    /// No shell on the way takes an argument for anything else than what it is.
    func arguments() async throws {
        let odd = [
            "", " ", "a b", "$HOME", "`id`", "$(id)", "'", "\"", "\\", "\\n", "a\nb", "*", "~", ";id", "&&", "|", "-n",
            "!x",
            "ümlaut", "\u{1}\u{7f}", "%s%b", "\\0101", "#", ".", "a=b", "\r", "\t",
        ]
        let bytes = try await transport.output(of: Program("sh", ["-c", "printf '%s\\0' \"$@\"", "sh"] + odd))
        let found = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
            .map { String(decoding: $0, as: UTF8.self) }
        #expect(found == odd, "\(transport.description)")
    }

    /// A secret gets there, and no command line on either side has it.
    func secrets() async throws {
        let secret = "s3cret '\"$`\\ \n\u{e9}" + UUID().uuidString
        let program = Program(
            "sh", ["-c", "printf %s \"$SALVOR_TEST_VALUE\"; cat"], environment: ["SALVOR_TEST_VALUE": secret])
        let (seen, exit) = try await transport.run(program) { pipes in
            let found = try await Self.readUntil(pipes, secret)
            let lines = try Self.commandLines()
            try pipes.closeInput()
            return (found, lines.filter { $0.contains(secret.suffix(36)) })
        }
        #expect(exit.isSuccess)
        #expect(seen.0 == secret)
        #expect(seen.1 == [])
    }

    /// Many bytes both ways, none lost, none added.
    func large() async throws {
        let input = (0..<(12 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        #expect(
            SHA256Digest.of(try await transport.output(of: Program("cat", []), input: input)) == SHA256Digest.of(input))
        let (end, exit) = try await transport.stream(Program("head", ["-c", "30000001", "/dev/zero"])) { _ in }
        #expect(end.length == 30_000_001)
        #expect(exit.isSuccess)
    }

    func missing() async throws {
        let failure = try await #require(throws: Failure.self) {
            try await transport.output(of: Program("salvor-no-such-program", []))
        }
        #expect(failure.code == .programMissing)
        #expect(failure.summary.contains("salvor-no-such-program"))
        #expect(failure.hint != nil)
    }

    /// A cancelled task ends the far program and its children, though they ignore their pipes.
    func cancellation() async throws {
        let token = "salvor-\(UUID().uuidString)"
        let nap = String(Int.random(in: 100_000_000..<1_000_000_000))
        let (started, isStarted) = AsyncStream<Void>.makeStream()
        let task = Task {
            try await transport.run(
                Program("sh", ["-c", "trap '' HUP PIPE; (exec sleep \(nap)) & echo up; wait", token])
            ) { pipes in
                _ = try await Self.readUntil(pipes, "up")
                isStarted.yield()
                try await Task.sleep(for: .seconds(600))
            }
        }
        for await _ in started { break }
        #expect(try await count(token) > 0)
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await count(token) == 0, "\(transport.description)")
        #expect(try await count(nap) == 0, "\(transport.description)")
    }

    func failingBody() async throws {
        struct Stop: Error {}
        let token = "salvor-\(UUID().uuidString)"
        await #expect(throws: Stop.self) {
            try await transport.run(Program("sh", ["-c", "echo up; while :; do sleep 1; done", token])) { pipes in
                _ = try await Self.readUntil(pipes, "up")
                throw Stop()
            }
        }
        #expect(try await count(token) == 0)
    }

    /// How many processes beside the source have these words in their command line.
    private func count(_ words: String) async throws -> Int {
        let quoted = words.prefix(1) + "[" + words.dropFirst(1).prefix(1) + "]" + words.dropFirst(2)
        let text = try await beside(
            "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0\\n' '  ' | grep -c '\(quoted)' || true")
        return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }

    /// Reads until the output ends with `text`, at most so long as it.
    static func readUntil(_ pipes: any ProgramPipes, _ text: String) async throws -> String {
        try await Blocking.run {
            var bytes: [UInt8] = []
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1000, alignment: 1)
            defer { buffer.deallocate() }
            while bytes.count < text.utf8.count {
                let count = try pipes.read(into: buffer)
                if count == 0 { break }
                bytes += buffer[..<count]
            }
            return String(decoding: bytes.prefix(text.utf8.count), as: UTF8.self)
        }
    }

    /// Every command line of this host, as anybody may read it.
    static func commandLines() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int($0) != nil }.compactMap {
            FileManager.default.contents(atPath: "/proc/\($0)/cmdline").map { String(decoding: $0, as: UTF8.self) }
        }
    }
}
