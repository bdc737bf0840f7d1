// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads a plan's `schedule`.
enum ScheduleReader {
    /// nil: the plan has none.
    ///
    /// - Throws: `Failure(.configuration)` with file and line.
    static func read(_ plan: ConfigReader) throws -> Schedule? {
        try refuseDrills(plan)
        guard let reader = try plan.mapping("schedule", allowed: PlanKeys.schedule) else { return nil }
        var validation: Schedule.Validation?
        if let own = try reader.mapping("validate", allowed: PlanKeys.scheduledValidation) {
            let level = try own.choice("level", of: ProofLevel.allCases.map(\.rawValue))
            let which = try own.choice("which", of: Schedule.Validation.Which.allCases.map(\.rawValue))
            validation = Schedule.Validation(
                calendar: try calendar(own), level: level.flatMap(ProofLevel.init) ?? .checksum,
                which: which.flatMap(Schedule.Validation.Which.init) ?? .latest)
        }
        var prune: [CalendarExpression] = []
        if let own = try reader.mapping("prune", allowed: PlanKeys.scheduledPrune) {
            prune = try calendar(own)
        }
        let delay = try reader.duration("randomized-delay")
        if let delay, delay > longestDelay {
            throw reader.failure("randomized-delay", "must be at most a day", hint: "A day later the next run is due.")
        }
        return Schedule(
            backup: try calendar(reader), randomizedDelay: delay, validation: validation, prune: prune)
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

    /// The word is kept for what is to come; whoever writes it must not believe that drills are held.
    private static func refuseDrills(_ plan: ConfigReader) throws {
        guard case .mapping(let pairs, _)? = plan.node("schedule"),
            let drill = pairs.first(where: { $0.key == "drill" })
        else { return }
        throw Failure(
            .configuration, "\(drill.mark): 'schedule.drill' cannot be kept: this version has no drills",
            hint: "Leave it out; 'validate: {calendar: …, level: contents}' proves bundles where a key is.")
    }
}
