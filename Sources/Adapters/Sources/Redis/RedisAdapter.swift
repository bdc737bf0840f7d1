// SPDX-License-Identifier: Apache-2.0
import Domain

/// One Redis or Valkey server: its data as an RDB taken over the wire, its access rules, its configuration.
struct RedisAdapter: SourceAdapter {
    let settings: RedisSettings
    let environment: AdapterEnvironment

    /// The server of the plan.
    var live: RedisEndpoint {
        RedisEndpoint(
            transport: environment.transport, host: settings.socket ?? settings.host, port: settings.port,
            user: settings.user,
            password: settings.password.map { .reference($0, environment.secrets) } ?? .none,
            timeoutSeconds: settings.timeoutSeconds, security: settings.security, remedy: restoreRights)
    }

    /// The least rights for a backup, as a command to type.
    var backupRights: String {
        "ACL SETUSER \(settings.user ?? "salvor") on >PASSWORD " + Self.backupCommands.joined(separator: " ")
    }

    /// The rights for a restore, as a command to type.
    private var restoreRights: String {
        "ACL SETUSER \(settings.user ?? "salvor") "
            + (Self.backupCommands + Self.restoreCommands).joined(separator: " ")
    }

    static let backupCommands = [
        "+sync", "+psync", "+replconf", "+ping", "+info", "+acl|whoami", "+acl|list", "+acl|dryrun", "+config|get",
        "+module|list",
    ]

    /// What a restore needs beyond that.
    static let restoreCommands = [
        "+replicaof", "+config|set", "+client|pause", "+client|unpause", "+client|list", "+acl|setuser",
        "+acl|deluser", "+acl|save", "+function|list", "+bgsave", "+lastsave",
    ]
}

/// Names of streams and facts.
enum RedisNames {
    static let rdb = "rdb"
    static let accessRules = "acl"
    static let configuration = "config"

    /// Facts of a copy whose every value was understood.
    static func facts(
        databases: [Int: RedisInfo.Keyspace], functions: [String: String]
    ) -> Facts {
        var facts = Facts()
        for (index, counts) in databases {
            facts["db\(index) keys"] = .count(counts.keys)
            facts["db\(index) keys with expiry"] = .count(counts.expires)
        }
        for (name, digest) in functions { facts["function library \(name) sha256"] = .text(digest) }
        return facts
    }
}
