// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Reads a plan document strictly.
public struct PlanReader: Sendable {
    /// The kinds of source that exist, for telling slips from unknown systems.
    public var adapters: [String]
    /// Those of them that may be marked as search indexes.
    public var indexAdapters: [String]
    /// Top-level parts for plans that lack them, from salvor.yaml.
    var defaults: [String: ConfigNode] = [:]

    /// Takes the kinds of all registered adapters, and of those that may be marked with `index: true`.
    public init(adapters: [String], indexAdapters: [String] = PlanDirectory.knownIndexAdapters) {
        self.adapters = adapters
        self.indexAdapters = indexAdapters
    }

    /// The plan in `document`.
    ///
    /// - Throws: `Failure(.configuration)` with file and line.
    public func plan(_ document: ConfigNode) throws -> Plan {
        let document = completed(document)
        let reader = try ConfigReader(document, path: "", allowed: PlanKeys.plan)
        let name = try reader.requiredString("plan")
        guard SafeName.isValid(name) else {
            throw reader.failure("plan", "'\(name)' is not a name", hint: Self.nameHint)
        }
        guard name != "latest" else { throw reader.failure("plan", "'latest' is a word of the command line") }
        _ = try reader.mapping("repository", allowed: PlanKeys.repository)
        let group = try GroupReader.read(reader)
        let channels = try NotifyReader.channels(reader)
        return Plan(
            name: name, file: document.mark.file, repository: try RepositoryReader.read(reader),
            encryption: try EncryptionReader.read(reader), sources: try sources(reader, plan: name),
            retention: reader.node("retention"),
            schedule: try ScheduleReader.read(reader, tells: !channels.isEmpty),
            notify: reader.node("notify"),
            objectives: try objectives(reader), keepsLocalBase: try reader.bool("local-base") ?? true,
            policy: try RetentionReader(planFile: document.mark.file).policy(reader),
            hooks: try HooksReader.read(reader),
            secrets: PlanSecrets.references(document), channels: channels, isTogether: group.isTogether,
            quiesce: group.quiesce)
    }

    static let nameHint =
        "A name has letters, digits, '.', '_' and '-', begins with a letter, digit or '_', and has at most 100 characters."

    private func completed(_ document: ConfigNode) -> ConfigNode {
        guard !defaults.isEmpty, case .mapping(let pairs, let mark) = document else { return document }
        let present = Set(pairs.map(\.key))
        let added = defaults.filter { !present.contains($0.key) }.sorted { $0.key < $1.key }
        return .mapping(pairs + added.map { ($0.key, $0.value.mark, $0.value) }, mark)
    }

    private func objectives(_ reader: ConfigReader) throws -> Objectives {
        guard let objectives = try reader.mapping("objectives", allowed: PlanKeys.objectives) else {
            return Objectives()
        }
        return Objectives(
            recoveryPoint: try objectives.duration("recovery-point"),
            recoveryTime: try objectives.duration("recovery-time"),
            drillEvery: try objectives.duration("drill-every"))
    }
}
