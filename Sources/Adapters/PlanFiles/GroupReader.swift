// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads what makes a plan's sources a recovery group: `consistency` and `quiesce`.
enum GroupReader {
    private static let longest = 3600

    /// - Throws: `Failure(.configuration)` with file and line.
    static func read(_ plan: ConfigReader) throws -> (isTogether: Bool, quiesce: Quiesce?) {
        let isTogether = try plan.choice("consistency", of: ["separate", "together"]) == "together"
        guard let reader = try plan.mapping("quiesce", allowed: PlanKeys.quiesce) else { return (isTogether, nil) }
        guard isTogether else {
            throw plan.failure(
                "quiesce", "is for sources that are frozen together, and this plan's are not",
                hint: "Add 'consistency: together', or use 'hooks' to stop the application for the whole backup.")
        }
        let limit = try reader.duration("time-limit") ?? Quiesce.standardTimeLimit
        guard (1...longest).contains(limit) else { throw reader.failure("time-limit", "must be from 1s to 1h") }
        return (
            true,
            Quiesce(
                pause: try HooksReader.arguments("pause", reader), resume: try HooksReader.arguments("resume", reader),
                timeLimit: limit)
        )
    }
}
