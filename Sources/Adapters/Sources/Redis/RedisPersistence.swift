// SPDX-License-Identifier: Apache-2.0
import Domain

extension RedisAdapter {
    /// Returns when the live server's data, as it is now, is on its disk in the form it starts from.
    ///
    /// With an append-only file the server reads nothing else at its start, so a new base of that file must be written;
    /// it does so by itself after taking over a master's data. Without one it reads its RDB.
    func settlePersistence(_ page: RedisPage) async throws {
        let connection = try await live.connect()
        let info = try await connection.info()
        if info["aof_enabled"] == "1" {
            try await wait("rewrite its append-only file") { info in
                guard info["aof_rewrite_in_progress"] == "0", info["aof_rewrite_scheduled"] == "0" else { return nil }
                return info["aof_last_bgrewrite_status"] == "ok" && info["aof_last_write_status"] != "err"
            }
            return
        }
        guard let rules = try await live.saying({ try await connection.parameter("save") }), !rules.isEmpty else {
            await page.note("the server keeps nothing on disk ('save' is empty), so nothing was saved")
            return
        }
        try await wait("finish an earlier save") { $0["rdb_bgsave_in_progress"] == "0" ? true : nil }
        let before = try await connection.command("LASTSAVE")
        _ = try await live.saying { try await connection.command("BGSAVE") }
        try await wait("save its data") { info in
            guard info["rdb_bgsave_in_progress"] == "0" else { return nil }
            guard case .integer(let last) = before, let now = info.number("rdb_last_save_time") else { return false }
            return info["rdb_last_bgsave_status"] == "ok" && now >= last
        }
    }

    /// Asks until `isDone` knows.
    private func wait(_ what: String, _ isDone: (RedisInfo) -> Bool?) async throws {
        let connection = try await live.connect()
        while true {
            if let result = isDone(try await connection.info()) {
                guard result else {
                    throw Failure(
                        .restoreFailed, "\(live.name) has the data but failed to \(what)",
                        hint: "Look in its log: often disk space or memory overcommit.")
                }
                return
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
