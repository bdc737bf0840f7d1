// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads a plan's `hooks`.
enum HooksReader {
    private static let most = 50
    private static let longest = 86_400

    /// - Throws: `Failure(.configuration)` with file and line.
    static func read(_ plan: ConfigReader) throws -> Hooks {
        guard let reader = try plan.mapping("hooks", allowed: PlanKeys.hooks) else { return Hooks() }
        return Hooks(
            before: try list("before", reader, standard: .stop), after: try list("after", reader, standard: .continue),
            failure: try list("failure", reader, standard: .continue))
    }

    private static func list(
        _ key: String, _ reader: ConfigReader, standard: Hook.OnFailure
    ) throws -> [Hook] {
        let nodes = try reader.sequence(key) ?? []
        guard nodes.count <= most else { throw reader.failure(key, "has more than \(most) programs") }
        return try nodes.enumerated().map { index, node in
            let own = try ConfigReader(node, path: "\(reader.path(of: key))[\(index)]", allowed: PlanKeys.hook)
            let policy = try own.choice("on-failure", of: Hook.OnFailure.allCases.map(\.rawValue))
            let limit = try own.duration("time-limit") ?? Hook.standardTimeLimit
            guard limit <= longest else { throw own.failure("time-limit", "must be at most a day") }
            return Hook(
                run: try arguments("run", own), onFailure: policy.flatMap(Hook.OnFailure.init) ?? standard,
                timeLimit: limit)
        }
    }

    /// A list of texts: one text would have to be taken apart, and by whose rules?
    static func arguments(_ key: String, _ reader: ConfigReader) throws -> [String] {
        guard case .sequence? = reader.node(key), let words = try reader.strings(key), let program = words.first,
            !program.isEmpty
        else {
            throw reader.failure(
                key, "must be a list: the program and its arguments",
                hint: "Write \(key): [systemctl, stop, app]; for a shell, \(key): [sh, -c, '…'].")
        }
        guard !words.contains(where: { $0.utf8.contains(0) }) else { throw reader.failure(key, "has a zero byte") }
        return words
    }
}
