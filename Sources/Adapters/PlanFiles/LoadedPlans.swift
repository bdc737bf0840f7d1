// SPDX-License-Identifier: Apache-2.0
public import Domain

/// The configuration as read: all plans, what the host's own file says, and what deserves a warning.
public struct LoadedPlans: Sendable {
    /// In order of name; names are unique.
    public var plans: [Plan]
    public var host: HostSettings
    /// Sentences for the operator; nothing here stops a command.
    public var warnings: [String]

    /// The plan of that name.
    ///
    /// - Throws: `Failure(.planNotFound)` with the nearest name as its hint.
    public func plan(named name: String) throws -> Plan {
        if let plan = plans.first(where: { $0.name == name }) { return plan }
        let names = plans.map(\.name)
        let hint = NearestName.of(name, among: names).map { "Did you mean '\($0)'?" } ?? "Plans: \(Self.list(names))."
        throw Failure(.planNotFound, "no plan is named '\(name)'", hint: hint)
    }

    /// The plan meant when none is named: the only one.
    ///
    /// - Throws: `Failure(.usage)` when there are several.
    public func onlyPlan() throws -> Plan {
        guard plans.count == 1, let plan = plans.first else {
            throw Failure(
                .usage, "several plans are configured and none is named",
                hint: "Name one of \(Self.list(plans.map(\.name))).")
        }
        return plan
    }

    private static func list(_ names: [String]) -> String {
        let shown = names.prefix(10).joined(separator: ", ")
        return names.count > 10 ? "\(shown) and \(names.count - 10) more" : shown
    }
}

/// What salvor.yaml says of the host itself.
public struct HostSettings: Sendable, Equatable {
    /// The name bundles carry instead of the system's host name.
    public var name: String?
    /// Where local state is kept, when neither `--state-dir` nor `SALVOR_STATE_DIR` says so.
    public var stateDirectory: String?
    /// The file that metrics are written to after each run; nil: none.
    public var metricsFile: String?

    public init(name: String? = nil, stateDirectory: String? = nil, metricsFile: String? = nil) {
        self.name = name
        self.stateDirectory = stateDirectory
        self.metricsFile = metricsFile
    }
}
