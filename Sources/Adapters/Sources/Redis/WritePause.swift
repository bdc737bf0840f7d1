// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// Holds back all writes to a server. The server ends the pause by itself when nobody renews it, so that a killed restore
/// leaves no server standing still.
final class WritePause: Sendable {
    private static let milliseconds = "15000"
    private let live: RedisEndpoint
    private let renewal: Task<Void, any Error>

    private init(_ live: RedisEndpoint, _ connection: RespConnection) {
        self.live = live
        renewal = Task {
            while true {
                try await Task.sleep(for: .seconds(5))
                // Not cancelled half way: a late pause must not overtake the end of it.
                _ = try await Blocking.run {
                    try connection.call(["CLIENT", "PAUSE", Self.milliseconds, "WRITE"], CancellationFlag())
                }
            }
        }
    }

    /// nil when the server is too old for it (before Redis 6.2).
    static func begin(_ live: RedisEndpoint) async throws -> WritePause? {
        let connection = try await live.connect()
        do {
            _ = try await connection.command("CLIENT", "PAUSE", milliseconds, "WRITE")
        } catch let refusal as RespRefusal {
            if refusal.isUnknown { return nil }
            throw live.failure(refusal)
        }
        return WritePause(live, connection)
    }

    /// Lets writes go on. If the server does not answer, the pause ends by itself in 15 s.
    func end() async {
        renewal.cancel()
        _ = await renewal.result
        let live = live
        // Out of reach of the caller's cancellation.
        await Task {
            do { _ = try await live.connect().command("CLIENT", "UNPAUSE") } catch {}
        }.value
    }
}
