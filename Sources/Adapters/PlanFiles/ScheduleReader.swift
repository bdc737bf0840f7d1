// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads a plan's `schedule`.
enum ScheduleReader {
    /// nil: the plan has none.
    ///
    /// - Parameter tells: whether the plan has channels; `check` is hourly then, unless it says when.
    /// - Throws: `Failure(.configuration)` with file and line.
    static func read(_ plan: ConfigReader, tells: Bool) throws -> Schedule? {
        let hourly = try CalendarExpression("hourly")
        guard let reader = try plan.mapping("schedule", allowed: PlanKeys.schedule) else { return nil }
        var validation: Schedule.Validation?
        if let own = try reader.mapping("validate", allowed: PlanKeys.scheduledValidation) {
            let level = try own.choice("level", of: ProofLevel.validated.map(\.rawValue))
            let which = try own.choice("which", of: Schedule.Validation.Which.allCases.map(\.rawValue))
            validation = Schedule.Validation(
                calendar: try calendar(own), level: level.flatMap(ProofLevel.init) ?? .checksum,
                which: which.flatMap(Schedule.Validation.Which.init) ?? .latest)
        }
        func times(_ key: String) throws -> [CalendarExpression] {
            try reader.mapping(key, allowed: PlanKeys.scheduledTimes).map(calendar) ?? []
        }
        var check = try times("check")
        // Somebody who wants to be told wants to be told of nights that did not happen, too.
        if check.isEmpty, tells { check = [hourly] }
        let delay = try reader.duration("randomized-delay")
        if let delay, delay > longestDelay {
            throw reader.failure("randomized-delay", "must be at most a day", hint: "A day later the next run is due.")
        }
        return Schedule(
            backup: try calendar(reader), randomizedDelay: delay, validation: validation,
            prune: try times("prune"), drill: try times("drill"), check: check)
    }

    private static let longestDelay = 86_400

    /// One expression or a list of them.
    private static func calendar(_ reader: ConfigReader) throws -> [CalendarExpression] {
        guard let texts = try reader.strings("calendar"), !texts.isEmpty else {
            throw reader.failure("calendar", "is required", hint: "Write when, such as '*-*-* 02:00'.")
        }
        return try texts.map { text in
            do throws(CalendarExpression.Invalid) {
                return try CalendarExpression(text)
            } catch {
                throw reader.failure("calendar", "'\(text)' \(error.problem)", hint: error.hint)
            }
        }
    }
}
