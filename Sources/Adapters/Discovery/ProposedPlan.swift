// SPDX-License-Identifier: Apache-2.0

/// A plan for what was found, as a document to look over: secrets are references to be filled in, and what this salvor
/// cannot read is left in it as a comment.
public struct ProposedPlan: Sendable {
    /// One source as YAML, and what is said above it.
    public struct Source: Sendable {
        public var name: String
        public var comment: String
        /// Lines of a mapping, without indentation.
        public var lines: [String]
        public var isData: Bool
    }

    public let name: String
    public let sources: [Source]

    public init(name: String, findings: [Finding]) {
        self.name = name
        var taken: [String: Int] = [:]
        sources = findings.map { finding in
            let base = Self.baseName(finding)
            taken[base, default: 0] += 1
            let number = taken[base] ?? 1
            return Self.source(finding, name: number == 1 ? base : "\(base)-\(number)")
        }
    }

    /// The document.
    ///
    /// - Parameter problem: why a source with these lines cannot be read; nil: it can.
    public func text(_ problem: (Source) -> String?) -> String {
        let items = sources.map { source -> (isRead: Bool, lines: [String]) in
            let lines = source.lines.enumerated().map { ($0.offset == 0 ? "  - " : "    ") + $0.element }
            if let reason = problem(source) {
                return (
                    false,
                    ["  # \(source.comment)", "  # this salvor cannot: \(reason)"]
                        + lines.map { "  #" + $0.dropFirst(2) }
                )
            }
            return (true, ["  # \(source.comment)"] + lines)
        }
        var lines = [
            "# Proposed by 'salvor discover' from what runs here. Look it over, fill in what the comments ask for, then:",
            "#   salvor config check && salvor init --generate-keys --recovery-directory /media/usb/salvor-recovery && salvor backup",
            "plan: \(name)", "repository:",
            "  store: file:///srv/backups               # or s3://bucket/prefix, off this host",
            "encryption:",
            "  recipients: [\"file:/etc/salvor/recipient.asc\"]   # made by 'salvor init --generate-keys'",
            "sources:",
        ]
        let read = items.filter(\.isRead)
        if read.isEmpty {
            lines += [
                "  # nothing was found that can be read as it is; this stands for what you have",
                "  - name: configuration", "    adapter: files", "    paths: [/etc]",
            ]
        }
        lines += (read + items.filter { !$0.isRead }).flatMap(\.lines)
        if zip(sources, items).count(where: { $0.0.isData && $0.1.isRead }) > 1 {
            lines.append(
                "# consistency: together                 # freeze all at one moment, when they belong together")
        }
        lines += [
            "retention: nightly", "schedule: {calendar: \"*-*-* 02:00\", randomized-delay: 10m}",
            "objectives: {recovery-point: 26h}",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func baseName(_ finding: Finding) -> String {
        let text: String
        switch finding.place {
        case .host: text = finding.adapter
        case .docker(let name), .podman(let name): text = name
        case .compose(let project, let service): text = "\(project)-\(service)"
        case .pod(let namespace, let pod, let selector, _):
            text = "\(namespace)-" + (pod ?? selector?.split(separator: "=").last.map(String.init) ?? finding.adapter)
        case .path(let path): text = path.split(separator: "/").last.map(String.init) ?? "files"
        }
        let safe = text.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
        let trimmed = String(safe.drop { $0 == "-" }.prefix(60))
        return trimmed.isEmpty ? finding.adapter : trimmed
    }

    private static func source(_ finding: Finding, name: String) -> Source {
        var lines = ["name: \(name)", "adapter: \(finding.adapter)"]
        switch finding.place {
        case .docker(let name): lines.append("transport: {docker: \(quoted(name))}")
        case .podman(let name): lines.append("transport: {podman: \(quoted(name))}")
        case .compose(let project, let service):
            lines.append("transport: {compose: {project: \(quoted(project)), service: \(quoted(service))}}")
        case .pod(let namespace, let pod, let selector, let container):
            let which = pod.map { "pod: \(quoted($0))" } ?? "selector: \(quoted(selector ?? ""))"
            lines.append(
                "transport: {kubernetes: {namespace: \(quoted(namespace)), \(which), container: \(quoted(container))}}")
        case .host, .path: break
        }
        lines += settings(finding, name: name)
        let doubt = finding.isGuess ? ", a guess" : ""
        return Source(
            name: name, comment: "\(printable(finding.evidence))\(doubt)", lines: lines,
            isData: finding.adapter != "files")
    }

    /// The adapter's own keys. A secret is never more than the name of a variable to set.
    private static func settings(_ finding: Finding, name: String) -> [String] {
        let variable =
            "env:" + name.uppercased().map { $0.isLetter || $0.isNumber ? String($0) : "_" }.joined() + "_PASSWORD"
        let isLocal: (host: String, port: Int)?
        if case .host(let host, let port) = finding.place { isLocal = (host, port) } else { isLocal = nil }
        switch finding.adapter {
        case "postgresql":
            let place = isLocal.map { "host: \(quoted($0.host)), port: \($0.port), " } ?? ""
            let secret = isLocal?.host.hasPrefix("/") == true ? "" : ", password: \(variable)"
            return [
                "connection: {\(place)user: salvor\(secret)}   # docs/sources/postgresql.md has the role's rights",
                "databases: all",
            ]
        case "redis":
            guard let isLocal, isLocal.host.hasPrefix("/") else {
                let place =
                    isLocal.map { "host: \(quoted($0.host)), port: \($0.port)" } ?? "host: 127.0.0.1, port: 6379"
                return ["connection: {\(place)}   # with a password: add password: \(variable)"]
            }
            return ["connection: {socket: \(quoted(isLocal.host))}   # with a password: add password: \(variable)"]
        case "sqlite":
            guard case .path(let path) = finding.place else { return [] }
            return ["path: \(quoted(path))"]
        case "files":
            guard case .path(let path) = finding.place else { return [] }
            return ["paths: [\(quoted(path))]"]
        default:
            let place = isLocal.map { "connection: {host: \(quoted($0.host)), port: \($0.port)}" }
            return [place].compactMap { $0 }
        }
    }

    /// Text that YAML takes for nothing else, on one line.
    private static func quoted(_ text: String) -> String {
        let isBare =
            text.first?.isLetter == true || text.first == "/"
            ? text.utf8.allSatisfy {
                ($0 | 32 >= 97 && $0 | 32 <= 122) || ($0 >= 48 && $0 <= 57) || [45, 46, 47, 95].contains($0)
            } : false
        if isBare, !["yes", "no", "on", "off", "true", "false", "null", "y", "n"].contains(text.lowercased()) {
            return text
        }
        return "\"" + printable(text).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    private static func printable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7f }))
    }
}
