// SPDX-License-Identifier: Apache-2.0

/// The answer to `INFO`: names and values.
struct RedisInfo: Sendable, Equatable {
    /// What one database holds.
    struct Keyspace: Sendable, Equatable {
        var keys: Int64
        /// Keys with a time to live.
        var expires: Int64
    }

    private var values: [String: String] = [:]

    /// Reads lines `name:value`; section titles begin with `#`.
    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            values[String(line[..<colon])] = String(line[line.index(after: colon)...])
        }
    }

    subscript(name: String) -> String? { values[name] }

    /// The value as a number; nil when absent or text.
    func number(_ name: String) -> Int64? { values[name].flatMap { Int64($0) } }

    /// Databases that are not empty, by number, from lines such as `db0:keys=301,expires=1,avg_ttl=0`.
    var databases: [Int: Keyspace] {
        var result: [Int: Keyspace] = [:]
        for (name, value) in values {
            guard name.hasPrefix("db"), let index = Int(name.dropFirst(2)) else { continue }
            var counts: [Substring: Int64] = [:]
            for part in value.split(separator: ",") {
                let pair = part.split(separator: "=", maxSplits: 1)
                if pair.count == 2, let count = Int64(pair[1]) { counts[pair[0]] = count }
            }
            let found = Keyspace(keys: counts["keys"] ?? 0, expires: counts["expires"] ?? 0)
            if found.keys > 0 { result[index] = found }
        }
        return result
    }

    /// Keys of all databases.
    var keys: Int64 { databases.values.reduce(0) { $0 + $1.keys } }

    /// Whether the server is a replica of another.
    var isReplica: Bool { values["role"] == "slave" }

    var isCluster: Bool { values["cluster_enabled"] == "1" }

    /// Names of the loaded modules, from lines such as `module:name=ReJSON,ver=20000,…`; INFO shows only the last one
    /// under its repeated name, so `MODULE LIST` is asked where it is allowed.
    var isLoading: Bool { values["loading"] == "1" || values["async_loading"] == "1" }
}
