// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization
import Transports

/// The local transport, noting every argument.
final class SpyTransport: Transport {
    private let noted = Mutex<[String]>([])
    private let local = LocalTransport()

    let description = "local"
    let reachesLocalFiles = true

    var words: [String] { noted.withLock { $0 } }

    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) {
        noted.withLock { $0 += [program.name] + program.arguments }
        return try await local.run(program, body)
    }

    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        try await local.connect(host: host, port: port, timeoutSeconds: timeoutSeconds)
    }
}
