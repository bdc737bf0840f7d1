// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads a source's `drill`.
enum DrillReader {
    private static let most = 100
    private static let longest = 86_400

    /// - Throws: `Failure(.configuration)` with file and line.
    static func read(_ source: ConfigReader) throws -> (assertions: [DrillAssertion], program: [String]?) {
        guard let reader = try source.mapping("drill", allowed: PlanKeys.drill) else { return ([], nil) }
        let program = reader.node("restore") == nil ? nil : try HooksReader.arguments("restore", reader)
        if program != nil, reader.node("assert") == nil { return ([], program) }
        return (try assertions(reader), program)
    }

    private static func assertions(_ reader: ConfigReader) throws -> [DrillAssertion] {
        guard let nodes = try reader.sequence("assert"), !nodes.isEmpty else {
            throw reader.failure("assert", "must list what is to hold, such as {sql: select count(*) > 0 from orders}")
        }
        guard nodes.count <= most else { throw reader.failure("assert", "has more than \(most) assertions") }
        return try nodes.enumerated().map { index, node in
            try assertion(
                try ConfigReader(node, path: "\(reader.path(of: "assert"))[\(index)]", allowed: PlanKeys.assertion))
        }
    }

    private static func assertion(_ reader: ConfigReader) throws -> DrillAssertion {
        let limit = try reader.duration("time-limit") ?? DrillAssertion.standardTimeLimit
        guard limit <= longest else { throw reader.failure("time-limit", "must be at most a day") }
        let database = try reader.string("database")
        switch (try reader.string("sql"), reader.node("command")) {
        case (let sql?, nil):
            guard !sql.isEmpty, !sql.utf8.contains(0) else { throw reader.failure("sql", "must be a query") }
            return DrillAssertion(.sql(sql, database: database), timeLimit: limit)
        case (nil, .some):
            guard database == nil else { throw reader.failure("database", "belongs to 'sql'") }
            return DrillAssertion(.command(try HooksReader.arguments("command", reader)), timeLimit: limit)
        case (.some, .some): throw reader.failure("command", "cannot stand beside 'sql': write two assertions")
        case (nil, nil): throw reader.failure("sql", "or 'command' is required")
        }
    }
}
