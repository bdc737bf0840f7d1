// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// A server's copy that is fixed and not read yet.
///
/// The server answers `PSYNC ? -1` with `+FULLRESYNC <id> <offset>` in the same turn of its one thread in which it forks
/// (`startBgsaveForReplication` in replication.c), so no command comes between that answer and the copy. Until the RDB is
/// read, the child waits at the full socket: nothing is buffered here or there, and since `rdb-only` was said, the server
/// keeps no later commands for this end either. It gives up after `repl-timeout` seconds without a byte taken. When this
/// process dies, the socket closes and the child ends.
struct FrozenRedis: FrozenSource {
    let adapter: RedisAdapter
    let connection: RespConnection
    let frozen: (from: Timestamp, to: Timestamp)
    let position: String?

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let (live, rights) = (adapter.live, adapter.backupRights)
        var report = try await adapter.capture(into: sink) { [connection] forward in
            try await live.saying(remedy: rights) {
                try await CancellationFlag.run { flag in
                    try RDBReceiver.transfer(from: connection, flag, forward: forward)
                }
            }
        }
        report.position = position
        return report
    }

    /// The end of the connection is all there is; another reader may still be at its last byte, so it is not closed under
    /// its hands but hung up.
    func release() async throws { connection.hangUp() }
}

extension RedisAdapter: FreezingAdapter {
    func freeze() async throws -> any FrozenSource {
        let control = try await live.connect()
        let before = try await live.saying(remedy: backupRights) { try await control.info() }
        let connection = try await live.connect()
        let clock = environment.clock
        do {
            let answer = try await live.saying(remedy: backupRights) {
                try await CancellationFlag.run { flag in
                    try Self.fork(connection, control, before, clock, seconds: self.settings.timeoutSeconds, flag)
                }
            }
            return FrozenRedis(
                adapter: self, connection: connection, frozen: (answer.from, answer.to),
                position: "\(answer.identifier):\(answer.offset)")
        } catch {
            connection.hangUp()
            throw error
        }
    }

    /// The server waits so long for more replicas before it forks, and looks once a second.
    func freezeLead() async -> Double {
        // Without the right to ask, nothing is known: the others do not wait.
        guard let connection = try? await live.connect(),
            let delay = try? await connection.parameter("repl-diskless-sync-delay").flatMap(Double.init), delay > 0
        else { return 0 }
        return delay + 0.5
    }

    private struct Answer {
        var identifier: String
        var offset: Int64
        var from: Timestamp
        var to: Timestamp
    }

    /// Asks for a copy and waits until it is fixed; blocks.
    private static func fork(
        _ connection: RespConnection, _ control: RespConnection, _ before: RedisInfo, _ clock: any WallClock,
        seconds: Int, _ flag: CancellationFlag
    ) throws -> Answer {
        try RDBReceiver.introduce(connection, flag)
        let forks = before.number("total_forks")
        var from = clock.now()
        try connection.send(["PSYNC", "?", "-1"])
        let patience = ContinuousClock.now + .seconds(seconds)
        while true {
            if connection.isReadable(milliseconds: 20) {
                let first = try connection.byte(flag)
                if first == 10 { continue }
                let line = try connection.line(flag)
                let to = clock.now()
                let words = line.split(separator: " ")
                guard first == UInt8(ascii: "+"), words.count == 3, words[0] == "FULLRESYNC",
                    let offset = Int64(words[2])
                else { throw RespRefusal(command: "PSYNC", message: line) }
                // A copy that is being made for another replica may be given to this one as well; it is older than asked.
                if before["master_replid"] == String(words[1]), let known = before.number("master_repl_offset"),
                    offset < known
                {
                    throw Failure(
                        .sourceFailed, "\(connection.name) gave a copy that it had begun for another replica",
                        hint: "Give the source 'retries', or set 'repl-diskless-sync yes' on the server.")
                }
                return Answer(identifier: String(words[1]), offset: offset, from: from, to: to)
            }
            try flag.check()
            guard ContinuousClock.now < patience else {
                throw Failure(
                    .sourceUnreachable, "\(connection.name) has not begun a copy in \(seconds) s",
                    hint: "Look at 'repl-diskless-sync-delay' and at saves under way, or raise 'timeout'.")
            }
            // As long as the server has not forked, the moment is still to come (total_forks: from 6.2).
            let asked = clock.now()
            let now = RedisInfo(try control.call(["INFO", "stats"], flag).text ?? "").number("total_forks")
            if let forks, now == forks { from = asked }
        }
    }
}
