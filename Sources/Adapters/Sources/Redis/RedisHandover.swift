// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// Makes the live server take over all data of a scratch server, by following it for a moment.
struct RedisHandover: Sendable {
    /// What the live server is doing, whatever the journal says.
    enum World: Sendable, Equatable {
        /// It is the master it was before.
        case untouched
        /// It follows the scratch server.
        case following
        /// It has taken over the data and is its own master.
        case done
        /// It is a master, but was restarted since: it may have either data.
        case unclear
    }

    let live: RedisEndpoint
    let scratch: ScratchServer

    /// - Throws: `Failure(.restoreFailed)` when the live server follows somebody else.
    static func look(_ live: RedisEndpoint, _ record: RedisRecord) async throws -> World {
        let info = try await live.connect().info()
        if info.isReplica {
            guard info["master_port"] == record.sourcePort.map(String.init), info["master_host"] == record.address
            else {
                throw Failure(
                    .restoreFailed,
                    "\(live.name) has become a replica of \(info["master_host"] ?? "?"):\(info["master_port"] ?? "?")",
                    hint: "Look who did that (a Sentinel?) before going on.")
            }
            return .following
        }
        if let identifier = record.sourceReplicationID, info["master_replid2"] == identifier { return .done }
        return info["master_replid"] == record.liveReplicationID ? .untouched : .unclear
    }

    /// Prepares the scratch server and turns the live one to it. Harmless when done twice.
    func begin(_ page: inout RedisPage, _ phase: RedisRecord.Phase) async throws {
        let source = try await scratch.endpoint.connect()
        let identifier = try await scratch.endpoint.saying { try await makeMaster(source) }
        let connection = try await live.connect()
        try await live.saying {
            try await admit(connection, source, &page)
            try await requireFormat(page.record)
            try await page.write {
                $0.phase = phase
                $0.sourceReplicationID = identifier
                $0.sourcePort = scratch.port
            }
            _ = try await connection.command("REPLICAOF", scratch.address, String(scratch.port))
        }
    }

    /// Waits until the live server has all data, compares, and makes it a master again.
    func finish(_ page: inout RedisPage) async throws {
        try await waitForData()
        let source = try await scratch.endpoint.connect()
        let begun = ContinuousClock.now
        while true {
            let connection = try await live.connect()
            let wanted = try await source.info()
            let found = try await connection.info()
            let functions = (try await source.functions(), try await connection.functions())
            if wanted.databases == found.databases, functions.0 == functions.1 { break }
            // Keys that expire meanwhile are deleted on both, one after the other.
            guard begun.duration(to: .now) < .seconds(30) else {
                throw Failure(
                    .restoreFailed,
                    "\(live.name) has \(found.keys) keys after taking over \(wanted.keys)",
                    hint: "Look in its log; the old data is kept.")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        let connection = try await live.connect()
        _ = try await live.saying { try await connection.command("REPLICAOF", "NO", "ONE") }
    }

    /// Puts back what of the live server's settings this restore has changed.
    static func putSettingsBack(_ live: RedisEndpoint, _ page: inout RedisPage) async throws {
        if page.record.setsMasterPassword {
            let connection = try await live.connect()
            _ = try await live.saying { try await connection.command("CONFIG", "SET", "masterauth", "") }
            try await page.write { $0.setsMasterPassword = false }
        }
        if page.record.setsPlainReplication == true {
            let connection = try await live.connect()
            _ = try await live.saying { try await connection.command("CONFIG", "SET", "tls-replication", "yes") }
            try await page.write { $0.setsPlainReplication = nil }
        }
    }

    // MARK: Steps

    /// A scratch server that nothing can be continued from. What it loaded carries the replication id of the server it
    /// came from: if it still knew that id, the live server could be told that it has everything already, and would keep
    /// what it has. A second change of role makes it forget.
    private func makeMaster(_ source: RespConnection) async throws -> String {
        if try await source.info().isReplica {
            _ = try await source.command("REPLICAOF", "NO", "ONE")
            _ = try await source.command("REPLICAOF", "127.0.0.1", "1")
            _ = try await source.command("REPLICAOF", "NO", "ONE")
        }
        guard let identifier = try await source.info()["master_replid"] else {
            throw Failure(.restoreFailed, "the scratch server has no replication id")
        }
        return identifier
    }

    /// Makes the live server's credentials for its masters fit the scratch server. A password that the live server has is
    /// taken for the scratch server, so that nothing of the live server must be changed.
    private func admit(
        _ connection: RespConnection, _ source: RespConnection, _ page: inout RedisPage
    ) async throws {
        // The scratch server speaks no TLS; it is on this host, or beside the live server.
        if try await connection.parameter("tls-replication") == "yes" {
            try await page.write { $0.setsPlainReplication = true }
            _ = try await connection.command("CONFIG", "SET", "tls-replication", "no")
        }
        let user = try await connection.parameter("masteruser") ?? ""
        let present = try await connection.parameter("masterauth") ?? ""
        var secret = present
        if present.isEmpty || page.record.setsMasterPassword {
            try await page.write { $0.setsMasterPassword = true }
            secret = scratch.password
            _ = try await connection.command("CONFIG", "SET", "masterauth", secret)
        }
        if !user.isEmpty || secret != scratch.password {
            let rights = ["+psync", "+sync", "+replconf", "+ping"]
            _ = try await source.command(
                ["ACL", "SETUSER", user.isEmpty ? "default" : user, "on", ">" + secret] + rights)
        }
    }

    /// Refuses when the scratch server sends a format that the live one cannot load: it would empty itself first.
    private func requireFormat(_ record: RedisRecord) async throws {
        let sent = try await RDBPeek.format(of: scratch.endpoint)
        guard let own = record.oldFacts?["rdb format"]?.description,
            let version = RDBVersion(magic: Array(own.utf8)), version.loads(sent)
        else {
            throw Failure(
                .versionRefused, "\(live.name) cannot load RDB format \(sent) that the scratch server sends",
                hint: "Set 'restore.scratch-program' to a server of the live one's version.")
        }
    }

    private func waitForData() async throws {
        let names = [
            "master_link_status", "master_sync_left_bytes", "master_sync_read_bytes", "loading_loaded_bytes",
        ]
        var last: [String?] = []
        var changed = ContinuousClock.now
        while true {
            do {
                let info = try await live.connect().info()
                let isFollowing = info.isReplica && info["master_port"] == String(scratch.port)
                if isFollowing, info["master_link_status"] == "up", info["master_sync_in_progress"] == "0",
                    !info.isLoading
                {
                    break
                }
                let state = names.map { info[$0] }
                if state != last { (last, changed) = (state, .now) }
            } catch let failure as Failure where failure.code == .sourceUnreachable {
                try Task.checkCancellation()  // a server that empties itself may not answer for a while
            }
            guard changed.duration(to: .now) < .seconds(live.timeoutSeconds) else {
                throw Failure(
                    .restoreFailed,
                    "\(live.name) does not take over the data from \(scratch.address):\(scratch.port)",
                    hint: "Its log tells why; 'restore.scratch-address' must be reachable from it.")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        // A transfer that was only continued would have left the live server's own data in place.
        let statistics = try await scratch.endpoint.connect().info()
        guard statistics["sync_partial_ok"] == "0" else {
            throw Failure(.restoreFailed, "\(live.name) did not take a full copy")
        }
    }
}

/// Looks at the beginning of what a server sends.
enum RDBPeek {
    private struct Enough: Error {
        var version: RDBVersion?
    }

    /// The format of the RDBs that a server writes; the transfer is broken off after the first bytes.
    static func format(of endpoint: RedisEndpoint) async throws -> RDBVersion {
        let connection = try await endpoint.connect()
        do {
            try await CancellationFlag.run { flag in
                _ = try RDBReceiver.receive(from: connection, flag) { chunk in
                    guard chunk.count >= 9 else { return }
                    throw Enough(version: RDBVersion(magic: Array(chunk[..<9])))
                }
            }
        } catch let enough as Enough {
            if let version = enough.version { return version }
        }
        throw Failure(.restoreFailed, "\(endpoint.name) sends no RDB")
    }
}
