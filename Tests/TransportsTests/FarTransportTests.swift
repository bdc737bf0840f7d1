// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Transports

@Suite("Far programs", .serialized)
struct FarTransportTests {
    private func far(_ connection: String = "exec \"$@\"") -> FarTransport {
        FarTransport(ShellCarrier(connection: connection))
    }

    @Test("behave as local ones do", arguments: ["dash", "bash", "busybox"])
    func contract(_ shell: String) async throws {
        var carrier = ShellCarrier(shellName: shell)
        if shell == "busybox" {
            carrier.connection = "shift; exec busybox sh \"$@\""
        }
        try await TransportContract(transport: FarTransport(carrier)) { command in
            String(decoding: try await LocalTransport().output(of: Program("sh", ["-c", command])), as: UTF8.self)
        }.all()
    }

    @Test(
        "an output that is cut off is never a good one, whatever the client's status",
        arguments: [0, 1, 5, 32, 33, 34, 70, 1000, 99_999, 100_030], [0, 1, 255])
    func cut(_ bytes: Int, _ status: Int) async throws {
        // The whole output is 100 000 bytes between a first line of 38 bytes and a last one of 34.
        let failure = try await #require(throws: Failure.self) {
            try await far("\"$@\" | head -c \(bytes); exit \(status)").output(
                of: Program("head", ["-c", "100000", "/dev/zero"]))
        }
        #expect(failure.code == .sourceUnreachable)
    }

    @Test("an output that came whole over a connection that then failed is not a good one")
    func lateFailure() async throws {
        let failure = try await #require(throws: Failure.self) {
            try await far("\"$@\"; echo 'client: lost' >&2; exit 255").output(of: Program("echo", ["whole"]))
        }
        #expect(failure.code == .sourceUnreachable)
        #expect(failure.summary.contains("client: lost"))
    }

    @Test("what comes after the end makes the output a bad one")
    func tooMuch() async throws {
        await #expect(throws: Failure.self) {
            try await far("\"$@\"; echo more").output(of: Program("echo", ["whole"]))
        }
    }

    @Test("what a login shell says before is not part of the output")
    func noise() async throws {
        let bytes = try await far("echo 'Welcome!'; exec \"$@\"").output(of: Program("echo", ["whole"]))
        #expect(bytes == Array("whole\n".utf8))
    }

    @Test("an output that looks like the end of another run is an output")
    func forgery() async throws {
        let text = "\u{1e}salvor-end-0123456789abcdef 000\n"
        #expect(try await far().output(of: Program("printf", ["%s", text])) == Array(text.utf8))
    }

    @Test("a client that never gets there is told in its own words")
    func silent() async throws {
        let failure = try await #require(throws: Failure.self) {
            try await far("echo 'client: no way' >&2; exit 3").output(of: Program("echo", ["x"]))
        }
        #expect(failure.summary.contains("client: no way"))
        #expect(failure.hint != nil)
    }

    @Test("a far program that is killed half way fails")
    func killed() async throws {
        let (_, exit) = try await far().outputAndExit(of: Program("sh", ["-c", "echo half; kill -KILL $$"]))
        #expect(exit.status == .exited(137))
    }

    @Test("ports are forwarded, many connections side by side, and nothing listens afterwards")
    func reach() async throws {
        let server = try ThrowawayRedis()
        let place = try await far().reach(host: "127.0.0.1", port: server.port) { place in
            #expect(place.host == "127.0.0.1")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        let answer = try await Self.ask(place, "ECHO \(number)\r\n")
                        #expect(answer == "$1\r\n\(number)\r\n")
                    }
                }
                try await group.waitForAll()
            }
            return place
        }
        await #expect(throws: Failure.self) { _ = try await Self.ask(place, "PING\r\n") }
    }

    @Test("a port that nobody listens at is told before the body begins")
    func unreachable() async throws {
        let port = try ThrowawayRedis.freePort()
        let failure = try await #require(throws: Failure.self) {
            try await far().reach(host: "127.0.0.1", port: port) { _ in Issue.record("the body ran") }
        }
        #expect(failure.code == .sourceUnreachable)
    }

    /// Sends `text` and gives the first answer, which is two lines.
    static func ask(_ place: ReachedPort, _ text: String) async throws -> String {
        let descriptor = try await LocalTransport().connect(host: place.host, port: place.port, timeoutSeconds: 5)
        return try await Blocking.run { exchange(descriptor, text) }
    }

    /// Sends `text` over a descriptor, reads until two lines are there or the end, and closes it.
    static func exchange(_ descriptor: Int32, _ text: String) -> String {
        defer { close(descriptor) }
        _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1000)
        while answer.split(separator: 10, omittingEmptySubsequences: false).count < 3 {
            let count = read(descriptor, &buffer, buffer.count)
            if count <= 0 { break }
            answer += buffer[..<count]
            if answer.starts(with: Array("+".utf8)) || answer.starts(with: Array("-".utf8)) { break }
        }
        return String(decoding: answer, as: UTF8.self)
    }
}
