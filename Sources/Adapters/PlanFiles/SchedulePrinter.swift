// SPDX-License-Identifier: Apache-2.0
import Domain
import Yams

/// Prints what runs by itself, and around a backup, as the plan's keys that would give it.
enum SchedulePrinter {
    static func node(_ schedule: Schedule) -> Node {
        var pairs = [("calendar", calendar(schedule.backup))]
        if let delay = schedule.randomizedDelay {
            pairs.append(("randomized-delay", ConfigPrinter.text(PlanDuration.text(delay))))
        }
        if let validation = schedule.validation {
            pairs.append(
                (
                    "validate",
                    ConfigPrinter.mapping([
                        ("calendar", calendar(validation.calendar)),
                        ("level", ConfigPrinter.text(validation.level.rawValue)),
                        ("which", ConfigPrinter.text(validation.which.rawValue)),
                    ])
                ))
        }
        for (key, times) in [("prune", schedule.prune), ("drill", schedule.drill), ("check", schedule.check)]
        where !times.isEmpty {
            pairs.append((key, ConfigPrinter.mapping([("calendar", calendar(times))])))
        }
        return ConfigPrinter.mapping(pairs)
    }

    static func node(_ hooks: Hooks) -> Node {
        let lists = [("before", hooks.before), ("after", hooks.after), ("failure", hooks.failure)]
        return ConfigPrinter.mapping(
            lists.filter { !$0.1.isEmpty }.map { ($0.0, Node.sequence(.init($0.1.map(hook)))) })
    }

    static func node(_ quiesce: Quiesce) -> Node {
        ConfigPrinter.mapping([
            ("pause", .sequence(.init(quiesce.pause.map { quoted($0) }))),
            ("resume", .sequence(.init(quiesce.resume.map { quoted($0) }))),
            ("time-limit", ConfigPrinter.text(PlanDuration.text(quiesce.timeLimit))),
        ])
    }

    /// What a source's drill is; nil: nothing of its own.
    static func drill(of source: SourceSettings) -> Node? {
        var pairs: [(String, Node)] = []
        if let program = source.drillProgram {
            pairs.append(("restore", .sequence(.init(program.map { quoted($0) }))))
        }
        if !source.assertions.isEmpty { pairs.append(("assert", node(source.assertions))) }
        return pairs.isEmpty ? nil : ConfigPrinter.mapping(pairs)
    }

    private static func node(_ assertions: [DrillAssertion]) -> Node {
        let list = assertions.map { assertion -> Node in
            var pairs: [(String, Node)] = []
            switch assertion.question {
            case .sql(let sql, let database):
                pairs.append(("sql", quoted(sql)))
                if let database { pairs.append(("database", quoted(database))) }
            case .command(let words): pairs.append(("command", .sequence(.init(words.map { quoted($0) }))))
            }
            pairs.append(("time-limit", ConfigPrinter.text(PlanDuration.text(assertion.timeLimit))))
            return ConfigPrinter.mapping(pairs)
        }
        return .sequence(.init(list))
    }

    private static func hook(_ hook: Hook) -> Node {
        ConfigPrinter.mapping([
            ("run", .sequence(.init(hook.run.map { quoted($0) }))),
            ("on-failure", ConfigPrinter.text(hook.onFailure.rawValue)),
            ("time-limit", ConfigPrinter.text(PlanDuration.text(hook.timeLimit))),
        ])
    }

    private static func calendar(_ expressions: [CalendarExpression]) -> Node {
        guard expressions.count != 1 else { return quoted(expressions[0].text) }
        return .sequence(.init(expressions.map { quoted($0.text) }))
    }

    /// Asterisks and colons mean something to YAML.
    private static func quoted(_ value: String) -> Node { .scalar(.init(value, .implicit, .doubleQuoted)) }
}
