// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization
import Testing
import Transports

@Suite("Local transport")
struct LocalTransportTests {
    let transport = LocalTransport()

    @Test("gives all output and the exit status")
    func output() async throws {
        let (bytes, exit) = try await transport.outputAndExit(
            of: Program("sh", ["-c", "cat; echo err >&2; exit 7"]), input: Array("hello".utf8))
        #expect(bytes == Array("hello".utf8))
        #expect(exit.status == .exited(7))
        #expect(exit.lastWords == "err")
    }

    @Test("reads what a grandchild writes after its parent has ended")
    func lateOutput() async throws {
        let bytes = try await transport.output(of: Program("sh", ["-c", "(sleep 0.3; echo late) & echo early"]))
        #expect(String(decoding: bytes, as: UTF8.self) == "early\nlate\n")
    }

    @Test("streams a large output both ways without losing a byte")
    func large() async throws {
        let input = (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let bytes = try await transport.output(of: Program("cat", []), input: input)
        #expect(bytes == input)
    }

    @Test("an environment variable reaches the program and its arguments do not show it")
    func environment() async throws {
        let program = Program(
            "sh", ["-c", "printf %s \"$SALVOR_TEST_VALUE\""], environment: ["SALVOR_TEST_VALUE": "s3cret"])
        #expect(try await transport.output(of: program) == Array("s3cret".utf8))
        #expect(!program.commandLine.contains("s3cret"))
    }

    @Test("a program that is not there is named")
    func missing() async throws {
        await #expect { try await transport.output(of: Program("salvor-no-such-program", [])) } throws: { error in
            (error as? Failure)?.code == .programMissing && "\(error)".contains("salvor-no-such-program")
        }
    }

    @Test("a program that fails is told with its status and its last words")
    func failingProgram() async throws {
        await #expect {
            _ = try await LocalTransport().output(of: Program("sh", ["-c", "echo half; echo why >&2; exit 3"]))
        } throws: { error in
            let failure = error as? Failure
            return failure?.code == .programFailed && failure?.summary == "sh failed (exit status 3): why"
        }
    }

    @Test("a failing body ends the program")
    func failingBody() async throws {
        struct Stop: Error {}
        let clock = ContinuousClock()
        let elapsed = await clock.measure {
            await #expect(throws: Stop.self) {
                _ = try await transport.run(Program("sleep", ["30"])) { _ in throw Stop() }
            }
        }
        #expect(elapsed < .seconds(20))
    }

    @Test("cancelling ends the program and throws")
    func cancelling() async throws {
        let task = Task { try await transport.stream(Program("sh", ["-c", "echo on; sleep 30"])) { _ in } }
        try await Task.sleep(for: .milliseconds(200))
        let clock = ContinuousClock()
        let elapsed = await clock.measure {
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        #expect(elapsed < .seconds(20))
    }

    @Test("a refused port is a clear failure")
    func refused() async throws {
        await #expect { try await transport.connect(host: "127.0.0.1", port: 1, timeoutSeconds: 2) } throws: {
            (($0 as? Failure)?.summary ?? "").contains("127.0.0.1:1")
        }
    }
}
