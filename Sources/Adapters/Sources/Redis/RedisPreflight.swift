// SPDX-License-Identifier: Apache-2.0
import Domain

extension RedisAdapter {
    func preflight() async -> [Check] {
        var checks: [Check] = []
        do {
            let connection = try await live.connect()
            let info = try await live.saying(remedy: backupRights) { try await connection.info() }
            checks.append(Check("connection", .ok, "connected to \(live.name)"))
            checks.append(version(info))
            checks.append(contentsOf: state(info))
            checks.append(contentsOf: try await live.saying { try await rights(connection) })
            checks.append(contentsOf: try await live.saying { try await surroundings(connection) })
        } catch {
            let failure = Failure.wrapping(error, as: .sourceUnreachable)
            checks.append(
                Check("connection", .failed, failure.summary, remedy: failure.hint, code: failure.code))
        }
        return checks
    }

    private func version(_ info: RedisInfo) -> Check {
        guard let product = RedisProduct(info: info) else {
            return Check(
                "version", .failed, "the server does not tell its version",
                remedy: "Point 'connection' at Redis or Valkey.",
                code: .versionRefused)
        }
        guard let format = RDBVersion(product: product) else {
            return Check(
                "version", .warning, "\(product) is older than what Salvor is tested with",
                remedy: "Upgrade to Redis 6.2 or later.")
        }
        return Check("version", .ok, "\(product), RDB format \(format)")
    }

    private func state(_ info: RedisInfo) -> [Check] {
        var checks: [Check] = []
        if info.isLoading {
            checks.append(
                Check(
                    "loading", .failed, "the server is still loading its data", remedy: "Wait until it is done.",
                    code: .sourceFailed))
        }
        if info.isReplica {
            let isUp = info["master_link_status"] == "up"
            checks.append(
                isUp
                    ? Check("role", .ok, "replica of \(info["master_host"] ?? "?"), link up")
                    : Check(
                        "role", .failed, "a replica whose link to its master is down serves no copy",
                        remedy: "Mend the link, or point 'connection' at the master.", code: .sourceFailed))
        } else {
            checks.append(Check("role", .ok, "master"))
        }
        if info.isCluster {
            checks.append(
                Check(
                    "cluster", .warning, "this is one node of a cluster: only its own slots are copied",
                    remedy: "Make one source for each master; a restore needs a server that is not in cluster mode."))
        }
        if info["rdb_last_bgsave_status"] == "err" {
            checks.append(
                Check(
                    "saving", .warning, "the server's last save failed, and a copy may fail for the same reason",
                    remedy: "Look in the server's log: often memory overcommit or disk space."))
        }
        return checks
    }

    private func rights(_ connection: RespConnection) async throws -> [Check] {
        do {
            _ = try await connection.command("REPLCONF", "capa", "eof")
        } catch let refusal as RespRefusal where refusal.isDenied {
            return [denied("REPLCONF")]
        } catch is RespRefusal {
            // Something else than a lack of rights shows at the copy, with the server's own words.
        }
        guard let user = try await connection.ifAllowed("ACL", "WHOAMI")?.text else {
            return [
                Check(
                    "rights", .warning, "the user may not ask for its own rights, so they were not checked",
                    remedy: "\(backupRights) (without ACL: nothing to do)")
            ]
        }
        for words in [["SYNC"], ["INFO"]] {
            do {
                let reply = try await connection.command(["ACL", "DRYRUN", user] + words)
                // It answers a refusal as text, not as an error.
                if reply.text != "OK" { return [denied(words[0])] }
            } catch let refusal as RespRefusal where refusal.isUnknown {
                break  // before 7.0
            } catch is RespRefusal {
                return [
                    Check(
                        "rights", .warning, "user '\(user)' may not try its own rights, so they were not checked",
                        remedy: backupRights)
                ]
            }
        }
        return [Check("rights", .ok, "user '\(user)' may take a copy")]
    }

    private func denied(_ command: String) -> Check {
        Check(
            "rights", .failed, "user '\(settings.user ?? "default")' may not run \(command)", remedy: backupRights,
            code: .sourceDenied)
    }

    private func surroundings(_ connection: RespConnection) async throws -> [Check] {
        var checks: [Check] = []
        if try await connection.ifAllowed("ACL", "LIST") == nil {
            checks.append(
                Check(
                    "access rules", .warning, "the user may not list the access rules, so they are not backed up",
                    remedy: "Grant +acl|list (nothing to do before Redis 6.0)."))
        }
        if let delay = try await connection.ifAllowed("CONFIG", "GET", "repl-diskless-sync-delay")?
            .pairs["repl-diskless-sync-delay"]?.text
        {
            checks.append(Check("sync delay", .ok, "the server waits \(delay) s before it forks for a copy"))
        } else {
            checks.append(
                Check(
                    "configuration", .warning, "the user may not read the configuration, so it is not backed up",
                    remedy: "Grant +config|get."))
        }
        let modules = try await connection.modules()
        if !modules.isEmpty {
            checks.append(
                Check(
                    "modules", .warning,
                    "loaded: \(modules.joined(separator: ", ")); a restore needs the same modules",
                    remedy: "List their libraries in 'restore.scratch-modules'."))
        }
        return checks
    }
}
