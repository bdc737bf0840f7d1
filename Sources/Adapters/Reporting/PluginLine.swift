// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Operations

/// The answer of `status` to Nagios, Icinga and their kin: one line, performance data and an exit status, as
/// https://www.monitoring-plugins.org/doc/guidelines.html has them.
public struct PluginLine: Sendable, Equatable {
    /// What the exit status says.
    public enum State: Int32, Sendable {
        case ok = 0
        case warning = 1
        case critical = 2
        /// The check itself could not be made.
        case unknown = 3
    }

    public var state: State
    /// Without a newline.
    public var text: String

    /// What is wrong is critical; what deserves a look is a warning.
    public init(_ entries: [Status.Entry]) {
        let problems = entries.flatMap { entry in entry.problems.map { "\(entry.plan): \($0)" } }
        let warnings = entries.flatMap { entry in entry.warnings.map { "\(entry.plan): \($0)" } }
        state = !problems.isEmpty ? .critical : !warnings.isEmpty ? .warning : .ok
        let words = (problems + warnings).isEmpty ? entries.map(Self.goodNews) : problems + warnings
        text =
            "SALVOR \(Self.word(state)) - \(Self.clean(words.joined(separator: "; ")))"
            + " | \(entries.flatMap(Self.performance).joined(separator: " "))"
    }

    /// When the check could not be made.
    public init(_ failure: Failure) {
        state = .unknown
        text = "SALVOR UNKNOWN - \(Self.clean(failure.summary))"
    }

    private static func word(_ state: State) -> String {
        switch state {
        case .ok: "OK"
        case .warning: "WARNING"
        case .critical: "CRITICAL"
        case .unknown: "UNKNOWN"
        }
    }

    private static func goodNews(_ entry: Status.Entry) -> String {
        let age = entry.ageSeconds.map { DurationFormat.short(Double($0)) } ?? "?"
        return "\(entry.plan): \(entry.lastGood?.text ?? "no bundle"), \(age) old"
    }

    /// Label=value with its unit; warning; critical; least. The names of plans need no quoting within the quotes.
    private static func performance(_ entry: Status.Entry) -> [String] {
        let limit = entry.objectiveSeconds.map { "\($0)" } ?? ""
        var data = ["'\(entry.plan) age'=\(entry.ageSeconds.map { "\($0)s" } ?? "U");\(limit);\(limit);0"]
        if let size = entry.size {
            data.append("'\(entry.plan) raw'=\(size.rawBytes)B;;;0")
            data.append("'\(entry.plan) stored'=\(size.storedBytes)B;;;0")
            data.append("'\(entry.plan) duration'=\(size.seconds)s;;;0")
        }
        if entry.isSeen { data.append("'\(entry.plan) bundles'=\(entry.bundles);;;0") }
        return data
    }

    /// One line, and no bar, which would begin the performance data.
    private static func clean(_ text: String) -> String {
        PrintableText.of(text).replacing("|", with: "/")
    }
}
