// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a plan may ask of a restored source.
public enum DrillRules {
    /// - Throws: `Failure(.configuration)` when a source cannot be asked what its plan asks.
    public static func check(_ plan: Plan, _ registry: AdapterRegistry) throws {
        for source in plan.sources {
            let factory = try registry.factory(source.adapter, mark: source.mark)
            let known = factory.drilling
            guard source.drillProgram == nil || factory.drillsByProgram else {
                throw Failure(
                    .configuration,
                    "\(source.mark): source '\(source.name)' has 'drill.restore', and '\(source.adapter)' sources take no "
                        + "program there",
                    hint: known.isEmpty
                        ? "Such sources are not drilled." : "Leave it out: Salvor restores such sources itself.")
            }
            for assertion in source.assertions {
                let (word, needed): (String, DrillQuestions) =
                    switch assertion.question {
                    case .sql: ("sql", .sql)
                    case .command: ("command", .command)
                    }
                guard known.contains(needed) else {
                    throw Failure(
                        .configuration,
                        "\(source.mark): source '\(source.name)' asks with '\(word)' in 'drill.assert', which "
                            + "'\(source.adapter)' sources do not know",
                        hint: known.isEmpty
                            ? "Such sources are not drilled." : "Ask it with 'command': a program with its arguments.")
                }
            }
        }
    }
}
