// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Which sources of a plan form its recovery group.
///
/// Data that cannot be frozen has to say so in the plan (`freeze: off`); configuration, secrets and logs need no moment in
/// common and are read meanwhile.
public enum GroupRules {
    /// Refuses a plan that promises what its sources cannot keep.
    ///
    /// - Throws: `Failure(.configuration)` with file and line.
    public static func check(_ plan: Plan, _ registry: AdapterRegistry) throws {
        guard plan.isTogether else {
            if let source = plan.sources.first(where: { !$0.freezes }) {
                throw Failure(
                    .configuration, "\(source.mark): source '\(source.name)' says 'freeze: off', and nothing is frozen",
                    hint: "Leave the key out, or add 'consistency: together' to the plan.")
            }
            return
        }
        for source in plan.sources where source.freezes {
            guard try !(registry.adapter(source) is any FreezingAdapter), try registry.isData(source.adapter) else {
                continue
            }
            throw Failure(
                .configuration,
                "\(source.mark): source '\(source.name)' cannot be frozen together with others: "
                    + "'\(source.adapter)' sources are read from beginning to end",
                hint: "Add 'freeze: off' to have it read meanwhile, or leave out 'consistency: together'.")
        }
        guard try plan.sources.contains(where: { try isMember($0, registry) }) else {
            throw Failure(
                .configuration, "\(plan.file): no source of plan '\(plan.name)' can be frozen",
                hint: "Leave out 'consistency: together'.")
        }
    }

    /// Whether the source is frozen with the others.
    static func isMember(_ source: SourceSettings, _ registry: AdapterRegistry) throws -> Bool {
        try source.freezes && registry.adapter(source) is any FreezingAdapter
    }
}
