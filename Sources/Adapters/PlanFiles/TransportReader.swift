// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads a source's `transport`: `local`, or a mapping of one kind to a name or to a mapping of its own.
enum TransportReader {
    static func read(_ reader: ConfigReader) throws -> TransportSettings {
        guard let node = reader.node("transport") else { return .local }
        let kinds = PlanKeys.transports.keys.sorted()
        switch node {
        case .scalar("local", _, _): return .local
        case .scalar(let kind, _, _):
            guard kinds.contains(kind) else { throw unknown(kind, kinds, reader) }
            throw reader.failure(
                "transport", "'\(kind)' does not say what to reach", hint: "Write it so: \(example(kind)).")
        case .mapping(let pairs, _) where pairs.count == 1:
            let kind = pairs[0].key
            if kind == "local" { throw reader.failure("transport", "'local' takes nothing more") }
            guard let keys = PlanKeys.transports[kind] else { throw unknown(kind, kinds, reader) }
            return try read(Part(kind, pairs[0].value, keys, reader))
        default:
            throw reader.failure("transport", "must be 'local' or a mapping with one kind, such as {docker: NAME}")
        }
    }

    private static func unknown(_ kind: String, _ kinds: [String], _ reader: ConfigReader) -> Failure {
        let nearest = NearestName.of(kind, among: kinds + ["local"])
        return reader.failure(
            "transport", "knows no '\(kind)'",
            hint: nearest.map { "Did you mean '\($0)'?" }
                ?? "This salvor reaches sources over: local, \(kinds.joined(separator: ", ")).")
    }

    private static func example(_ kind: String) -> String {
        switch kind {
        case "compose": "{compose: {project: NAME, service: NAME}}"
        case "kubernetes": "{kubernetes: {namespace: NAME, pod: NAME}}"
        case "ssh": "{ssh: HOST}"
        default: "{\(kind): CONTAINER}"
        }
    }

    /// The settings of one kind: a name alone, or a mapping.
    private struct Part {
        var kind: String
        var name: String?
        var settings: ConfigReader?
        var outer: ConfigReader

        init(_ kind: String, _ node: ConfigNode, _ keys: [String], _ outer: ConfigReader) throws {
            self.kind = kind
            self.outer = outer
            if case .scalar(let text, let isQuoted, _) = node {
                guard isQuoted || !["", "~", "null"].contains(text) else {
                    throw outer.failure(
                        "transport", "'\(kind)' does not say what to reach", hint: "Write it so: \(example(kind)).")
                }
                name = text
            } else {
                settings = try ConfigReader(node, path: outer.path(of: "transport") + "." + kind, allowed: keys)
            }
        }

        func failure(_ key: String, _ problem: String, hint: String? = nil) -> Failure {
            settings?.failure(key, problem, hint: hint) ?? outer.failure("transport", problem, hint: hint)
        }

        /// A word that a client takes for a value and nothing else.
        func word(_ key: String, _ text: String) throws -> String {
            guard let first = text.utf8.first, first != UInt8(ascii: "-"),
                text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f })
            else { throw failure(key, "'\(text)' cannot be a name", hint: "It has no blanks and begins with no '-'.") }
            return text
        }

        func optional(_ key: String) throws -> String? { try settings?.string(key).map { try word(key, $0) } }

        func required(_ key: String) throws -> String {
            if let name { return try word(key, name) }
            guard let settings else { throw failure(key, "is required") }
            return try word(key, try settings.requiredString(key))
        }

        /// An absolute path.
        func file(_ key: String) throws -> String? {
            guard let path = try settings?.string(key) else { return nil }
            guard path.hasPrefix("/"), !path.utf8.contains(0) else { throw failure(key, "must be an absolute path") }
            return path
        }
    }

    private static func read(_ part: Part) throws -> TransportSettings {
        switch part.kind {
        case "docker", "podman":
            let settings = ContainerSettings(
                container: try part.required("container"), user: try part.optional("user"),
                engine: try part.optional("engine"))
            return part.kind == "docker" ? .docker(settings) : .podman(settings)
        case "compose":
            guard part.settings != nil else {
                throw part.failure("compose", "'compose' needs a project and a service", hint: Self.formHint("compose"))
            }
            return .compose(
                ComposeSettings(
                    project: try part.required("project"), service: try part.required("service"),
                    user: try part.optional("user"), engine: try part.optional("engine")))
        case "kubernetes": return .kubernetes(try kubernetes(part))
        default: return .ssh(try ssh(part))
        }
    }

    private static func formHint(_ kind: String) -> String { "Write it so: \(example(kind))." }

    private static func kubernetes(_ part: Part) throws -> KubernetesSettings {
        guard let settings = part.settings else {
            throw part.failure("kubernetes", "'kubernetes' needs a pod or a selector", hint: formHint("kubernetes"))
        }
        let pod: KubernetesSettings.Pod
        switch (try part.optional("pod"), try settings.string("selector")) {
        case (let name?, nil): pod = .name(name)
        case (nil, let selector?):
            guard !selector.isEmpty, !selector.hasPrefix("-") else {
                throw part.failure("selector", "must be a label selector, such as app=db")
            }
            pod = .selector(selector)
        case (nil, nil):
            throw Failure(
                .configuration, "\(settings.mark): '\(settings.path)' needs 'pod' or 'selector'",
                hint: "Name the pod, or give labels that only one running pod has.")
        default: throw part.failure("selector", "cannot be given together with 'pod'", hint: "Keep one of them.")
        }
        return KubernetesSettings(
            namespace: try part.optional("namespace"), pod: pod, container: try part.optional("container"),
            context: try part.optional("context"), kubeconfig: try part.file("kubeconfig"))
    }

    private static func ssh(_ part: Part) throws -> SSHSettings {
        var host = try part.required("host")
        var user = try part.optional("user")
        if let at = host.lastIndex(of: "@") {
            guard user == nil, at != host.startIndex else {
                throw part.failure(
                    "host", "names a user twice or none", hint: "Write 'user@host', or 'user' and 'host'.")
            }
            user = String(host[..<at])
            host = try part.word("host", String(host[host.index(after: at)...]))
        }
        return SSHSettings(
            host: host, user: user, port: try part.settings?.integer("port", in: 1...65535),
            identity: try part.file("identity"), knownHosts: try part.file("known-hosts"))
    }
}
