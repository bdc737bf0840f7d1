// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// Reads a plan's `retention`: the name of a policy, a file with one, or rules.
struct RetentionReader {
    /// Where files with policies are, in order; after them come the ones salvor brings along.
    let folders: [String]

    /// For a plan read from `planFile`: `retention/` beside it or beside its folder.
    init(planFile: String) {
        let folder = URL(fileURLWithPath: planFile).deletingLastPathComponent()
        folders = [folder.path, folder.deletingLastPathComponent().path].map { "\($0)/retention" }
    }

    /// The plan's policy; nil: it has none and keeps everything.
    ///
    /// - Throws: `Failure(.configuration)` with file and line.
    func policy(_ plan: ConfigReader) throws -> RetentionPolicy? {
        switch plan.node("retention") {
        case nil: return nil
        case .scalar(let name, _, _): return try named(name, plan, key: "retention")
        case .sequence: throw plan.failure("retention", "must be the name of a policy or a mapping")
        case .mapping(let pairs, _)?:
            guard pairs.contains(where: { $0.key == "policy" }) else {
                let reader = try plan.mapping("retention", allowed: PlanKeys.retention)
                return try reader.map { try read($0) }
            }
            guard let reader = try plan.mapping("retention", allowed: ["policy"]) else { return nil }
            let file = try reader.requiredString("policy")
            guard file.contains("/") || file.hasSuffix(".yaml") else { return try named(file, reader, key: "policy") }
            let folder = URL(fileURLWithPath: plan.mark.file).deletingLastPathComponent().path
            let path = file.hasPrefix("/") ? file : "\(folder)/\(file)"
            guard FileManager.default.fileExists(atPath: path) else {
                throw reader.failure("policy", "names a file that is not there: '\(path)'")
            }
            return try document(try YAMLDocument.read(path))
        }
    }

    private func named(_ name: String, _ reader: ConfigReader, key: String) throws -> RetentionPolicy {
        guard SafeName.isValid(name) else {
            throw reader.failure(key, "'\(name)' is not the name of a policy", hint: PlanReader.nameHint)
        }
        for folder in folders {
            let path = "\(folder)/\(name).yaml"
            if FileManager.default.fileExists(atPath: path) { return try document(try YAMLDocument.read(path)) }
        }
        if let text = StandardPolicies.texts[name] {
            return try document(try YAMLDocument.parse(text, file: "\(name).yaml"))
        }
        let known = StandardPolicies.texts.keys.sorted()
        throw reader.failure(
            key, "names no policy: '\(name)'",
            hint: NearestName.of(name, among: known).map { "Did you mean '\($0)'?" }
                ?? "Write \(folders[0])/\(name).yaml, or use one of \(known.joined(separator: ", ")).")
    }

    /// A policy's own file.
    func document(_ node: ConfigNode) throws -> RetentionPolicy {
        try read(try ConfigReader(node, path: "", allowed: PlanKeys.retention.filter { $0 != "policy" }))
    }

    private func read(_ reader: ConfigReader) throws -> RetentionPolicy {
        let rules = try rules(reader)
        guard !rules.keepsNothing else {
            throw Failure(
                .configuration, "\(reader.mark): the policy keeps nothing",
                hint: "Give it at least one of within, \(Self.periods.joined(separator: ", ")).")
        }
        let proof = try reader.choice("minimum-proof", of: ProofLevel.allCases.map(\.rawValue))
        return RetentionPolicy(
            rules: rules, tags: try tags(reader),
            minimumGood: try reader.integer("minimum-good", in: 1...1000) ?? RetentionPolicy.standardMinimumGood,
            minimumProof: proof.flatMap(ProofLevel.init), grace: try grace(reader))
    }

    private func grace(_ reader: ConfigReader) throws -> Int {
        guard let seconds = try reader.duration("grace") else { return RetentionPolicy.standardGrace }
        guard (RetentionPolicy.shortestGrace...Self.longestGrace).contains(seconds) else {
            throw reader.failure(
                "grace", "must be from 1h to 90d",
                hint: "It protects what running backups refer to, and whoever marked the wrong bundle.")
        }
        return seconds
    }

    private func tags(_ reader: ConfigReader) throws -> [String: RetentionRules] {
        guard let node = reader.node("tags") else { return [:] }
        guard case .mapping(let pairs, _) = node else { throw reader.failure("tags", "must be a mapping") }
        let names = pairs.map(\.key)
        let tags = try ConfigReader(node, path: reader.path(of: "tags"), allowed: names)
        var result: [String: RetentionRules] = [:]
        for tag in names {
            guard SafeName.isValid(tag) else { throw tags.failure(tag, "is no tag", hint: PlanReader.nameHint) }
            guard case .mapping? = tags.node(tag) else {
                let text = try tags.requiredString(tag)
                result[tag] =
                    text == "forever"
                    ? RetentionRules(isForever: true) : RetentionRules(within: try tags.duration(tag))
                continue
            }
            guard let own = try tags.mapping(tag, allowed: PlanKeys.retentionRules) else { continue }
            let rules = try rules(own)
            guard !rules.keepsNothing else {
                throw tags.failure(tag, "keeps nothing", hint: "Give the tag rules, a duration, or 'forever'.")
            }
            result[tag] = rules
        }
        return result
    }

    private func rules(_ reader: ConfigReader) throws -> RetentionRules {
        var rules = RetentionRules(within: try reader.duration("within"))
        for period in RetentionPeriod.allCases {
            if let extent = try extent(period, reader) { rules.periods.append(RetentionRule(period, extent)) }
        }
        return rules
    }

    /// A number of periods, or a duration of at least one.
    private func extent(_ period: RetentionPeriod, _ reader: ConfigReader) throws -> RetentionRule.Extent? {
        let key = period.rawValue
        guard let text = try reader.string(key) else { return nil }
        guard text.last?.isLetter == true, period != .last else {
            let most = period == .last ? 100_000 : Self.longest / Self.seconds(period)
            return try reader.integer(key, in: 1...most).map { .count($0) }
        }
        guard let seconds = try reader.duration(key) else { return nil }
        guard seconds >= Self.seconds(period) else {
            throw reader.failure(key, "is shorter than one such period", hint: "Use 'within' for short times.")
        }
        return .seconds(seconds)
    }

    private static let periods = RetentionPeriod.allCases.map(\.rawValue)
    /// A hundred years: beyond that a number is a slip.
    private static let longest = 100 * 366 * 86400
    private static let longestGrace = 90 * 86400

    private static func seconds(_ period: RetentionPeriod) -> Int {
        switch period {
        case .last: 1
        case .hourly: 3600
        case .daily: 86400
        case .weekly: 7 * 86400
        case .monthly: 31 * 86400
        case .quarterly: 92 * 86400
        case .yearly: 366 * 86400
        }
    }
}

/// The policies of `retention/`, brought along so that a plan can name one on any machine.
enum StandardPolicies {
    static let texts: [String: String] = [
        "nightly": String(decoding: PackageResources.nightly_yaml, as: UTF8.self),
        "seven-days-local": String(decoding: PackageResources.seven_days_local_yaml, as: UTF8.self),
        "gfs": String(decoding: PackageResources.gfs_yaml, as: UTF8.self),
        "compliance-7y": String(decoding: PackageResources.compliance_7y_yaml, as: UTF8.self),
    ]
}
