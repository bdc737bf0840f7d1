// SPDX-License-Identifier: Apache-2.0
public import Domain
import Yams

/// Prints the plan that is in force, defaults filled in, as the document that would give it; secrets are left out.
public enum ConfigPrinter {
    static let redacted = "<redacted>"

    /// The plan as YAML.
    public static func yaml(_ plan: Plan) throws -> String {
        do {
            return try Yams.serialize(node: document(plan), indent: 2, width: -1, allowUnicode: true)
        } catch {
            throw Failure(.internalError, "unable to print plan '\(plan.name)'")
        }
    }

    private static func document(_ plan: Plan) -> Node {
        var pairs: [(String, Node)] = [
            ("plan", text(plan.name)),
            ("repository", repository(plan.repository)),
            ("encryption", encryption(plan.encryption)),
            ("sources", .sequence(.init(plan.sources.map(source)))),
            ("consistency", text(plan.isTogether ? "together" : "separate")),
        ]
        if let node = plan.retention { pairs.append(("retention", converted(node))) }
        if let schedule = plan.schedule { pairs.append(("schedule", SchedulePrinter.node(schedule))) }
        if let node = objectives(plan.objectives) { pairs.append(("objectives", node)) }
        if let node = plan.notify { pairs.append(("notify", converted(node))) }
        if !plan.hooks.isEmpty { pairs.append(("hooks", SchedulePrinter.node(plan.hooks))) }
        if let quiesce = plan.quiesce { pairs.append(("quiesce", SchedulePrinter.node(quiesce))) }
        pairs.append(("local-base", text(plan.keepsLocalBase ? "on" : "off")))
        return mapping(pairs)
    }

    private static func repository(_ settings: RepositorySettings) -> Node {
        let s3 = settings.s3
        var pairs: [(String, Node)] = []
        if let value = s3.endpoint { pairs.append(("endpoint", text(value))) }
        if let value = s3.region { pairs.append(("region", text(value))) }
        if let value = s3.addressing { pairs.append(("addressing", text(value.rawValue))) }
        var credentials: [(String, Node)] = []
        if let value = s3.accessKey { credentials.append(("access-key", text(value.description))) }
        if let value = s3.secretKey { credentials.append(("secret-key", text(value.description))) }
        if let value = s3.sessionToken { credentials.append(("session-token", text(value.description))) }
        if let value = s3.profile { credentials.append(("profile", text(value))) }
        if !credentials.isEmpty { pairs.append(("credentials", mapping(credentials))) }
        if let value = s3.caFile { pairs.append(("ca-file", text(value))) }
        if let value = s3.proxy { pairs.append(("proxy", text(value))) }
        if let value = s3.storageClass { pairs.append(("storage-class", text(value))) }
        if let lock = s3.objectLock {
            pairs.append(("object-lock", mapping([("mode", text(lock.mode)), ("days", text(String(lock.days)))])))
        }
        var store = [("store", text(settings.store))]
        if settings.access != .full { store.append(("access", text(settings.access.rawValue))) }
        return mapping(pairs.isEmpty ? store : store + [("s3", mapping(pairs))])
    }

    private static func encryption(_ settings: EncryptionSettings) -> Node {
        var pairs = [("recipients", Node.sequence(.init(settings.recipients.map(text))))]
        if let signer = settings.signer { pairs.append(("signer", text(signer))) }
        pairs.append(("prove", text(settings.proof.rawValue)))
        return mapping(pairs)
    }

    private static func source(_ source: SourceSettings) -> Node {
        var pairs = [("name", text(source.name)), ("adapter", text(source.adapter))]
        pairs.append(("transport", TransportPrinter.node(source.transport)))
        if !source.recipients.isEmpty {
            pairs.append(("recipients", Node.sequence(.init(source.recipients.map(text)))))
        }
        if let limit = source.timeLimit { pairs.append(("time-limit", text(PlanDuration.text(limit)))) }
        if source.retries > 0 {
            pairs.append(("retries", text(String(source.retries))))
            pairs.append(("retry-delay", text(PlanDuration.text(source.retryDelay))))
        }
        if source.isIndex { pairs.append(("index", text("true"))) }
        if let drill = SchedulePrinter.drill(of: source) { pairs.append(("drill", drill)) }
        if !source.freezes { pairs.append(("freeze", text("off"))) }
        if case .mapping(let own, _) = source.settings {
            pairs += own.map { ($0.key, converted($0.value, under: $0.key)) }
        }
        return mapping(pairs)
    }

    private static func objectives(_ objectives: Objectives) -> Node? {
        var pairs: [(String, Node)] = []
        if let value = objectives.recoveryPoint { pairs.append(("recovery-point", text(PlanDuration.text(value)))) }
        if let value = objectives.recoveryTime { pairs.append(("recovery-time", text(PlanDuration.text(value)))) }
        if let value = objectives.drillEvery { pairs.append(("drill-every", text(PlanDuration.text(value)))) }
        return pairs.isEmpty ? nil : mapping(pairs)
    }

    /// A part kept as read, less its secrets.
    private static func converted(_ node: ConfigNode, under key: String = "") -> Node {
        switch node {
        case .scalar(let value, let isQuoted, let mark):
            return text(printable(value, key, mark), isQuoted: isQuoted)
        case .sequence(let nodes, _): return .sequence(.init(nodes.map { converted($0, under: key) }))
        case .mapping(let pairs, _): return mapping(pairs.map { ($0.key, converted($0.value, under: $0.key)) })
        }
    }

    private static func printable(_ value: String, _ key: String, _ mark: ConfigMark) -> String {
        if PlanKeys.secrets.contains(key), !value.isEmpty, value != "~", value != "null" {
            return SecretReference(value, mark: mark).description
        }
        guard let password = LiteralSecrets.passwordRange(inURL: value) else { return value }
        return value[..<password.lowerBound] + redacted + value[password.upperBound...]
    }

    static func mapping(_ pairs: [(String, Node)]) -> Node {
        .mapping(.init(pairs.map { (text($0.0), $0.1) }))
    }

    static func text(_ value: String) -> Node { text(value, isQuoted: false) }

    private static func text(_ value: String, isQuoted: Bool) -> Node {
        .scalar(.init(value, .implicit, isQuoted || value.isEmpty ? .doubleQuoted : .any))
    }
}
