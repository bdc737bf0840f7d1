// SPDX-License-Identifier: Apache-2.0
public import Domain
import Synchronization
import Transports

/// Runs programs of this host until a number of them ran, and then nothing more, as if salvor had been killed between two
/// of them.
public final class MortalTransport: Transport {
    public struct Killed: Error {}

    public let description = "local"
    public let reachesLocalFiles = true
    private let left: Mutex<Int>
    private let local = LocalTransport()

    public init(programs: Int) { left = Mutex(programs) }

    public func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) {
        try left.withLock { left in
            guard left > 0 else { throw Killed() }
            left -= 1
        }
        return try await local.run(program, body)
    }

    public func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        try await local.connect(host: host, port: port, timeoutSeconds: timeoutSeconds)
    }
}
