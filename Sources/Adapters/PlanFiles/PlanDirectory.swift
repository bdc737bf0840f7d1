// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// Finds and reads the configuration: a directory with `salvor.yaml` and `plans/*.yaml`, or one file.
public enum PlanDirectory {
    /// Where the configuration is when nothing else is said.
    public static let standardPath = "/etc/salvor"
    /// The kinds of source this salvor has.
    public static let knownAdapters = [
        "arangodb", "cassandra", "command", "etcd", "files", "grafana", "janusgraph", "kubernetes", "logs",
        "mariadb", "meilisearch", "postgresql", "prometheus", "qdrant", "redis", "secrets", "sqlite", "typesense",
    ]
    /// Those of them that may be marked as search indexes.
    public static let knownIndexAdapters = ["meilisearch", "qdrant", "sqlite", "typesense"]

    /// Reads the configuration at `path`.
    ///
    /// A directory holds `salvor.yaml` (optional) and `plans/*.yaml`; so does the directory of a file that is no plan
    /// itself. A file with the key `plan` is one plan, and then the only one. Every plan must be right: one that cannot
    /// be read would be a backup that silently is not made.
    ///
    /// - Throws: `Failure(.configuration)` with file and line.
    public static func load(
        _ path: String, adapters: [String] = knownAdapters, indexAdapters: [String] = knownIndexAdapters
    ) throws -> LoadedPlans {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw Failure(
                .configuration, "no configuration at '\(path)'",
                hint: "Write a plan under \(standardPath)/plans, or name a file or directory with --config.")
        }
        var reader = PlanReader(adapters: adapters, indexAdapters: indexAdapters)
        if isDirectory.boolValue {
            let hostFile = path + "/salvor.yaml"
            let document = FileManager.default.fileExists(atPath: hostFile) ? try YAMLDocument.read(hostFile) : nil
            return try load(host: document, plansIn: path + "/plans", &reader)
        }
        let document = try YAMLDocument.read(path)
        guard isPlan(document) else {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            return try load(host: document, plansIn: folder + "/plans", &reader)
        }
        let warnings = try LiteralSecrets.check(document)
        return LoadedPlans(plans: [try reader.plan(document)], host: HostSettings(), warnings: warnings)
    }

    /// Reads one plan from its text.
    ///
    /// - Parameter file: its name in messages.
    /// - Throws: `Failure(.configuration)` with line.
    public static func read(_ text: String, file: String, adapters: [String] = knownAdapters) throws -> Plan {
        try PlanReader(adapters: adapters).plan(try YAMLDocument.parse(text, file: file))
    }

    private static func load(
        host document: ConfigNode?, plansIn folder: String, _ reader: inout PlanReader
    ) throws -> LoadedPlans {
        var loaded = LoadedPlans(plans: [], host: HostSettings(), warnings: [])
        if let document {
            loaded.warnings += try LiteralSecrets.check(document)
            let host = try ConfigReader(document, path: "", allowed: PlanKeys.host)
            loaded.host = try settings(host)
            if let defaults = try host.mapping("defaults", allowed: PlanKeys.defaults) {
                for key in PlanKeys.defaults { reader.defaults[key] = defaults.node(key) }
            }
        }
        for file in try planFiles(folder) {
            let document = try YAMLDocument.read(file)
            loaded.warnings += try LiteralSecrets.check(document)
            let plan = try reader.plan(document)
            if let other = loaded.plans.first(where: { $0.name == plan.name }) {
                throw Failure(
                    .configuration, "\(document.mark): a plan named '\(plan.name)' is in '\(other.file)' already",
                    hint: "Give one of them another name.")
            }
            loaded.plans.append(plan)
        }
        guard !loaded.plans.isEmpty else {
            throw Failure(
                .configuration, "no plan in '\(folder)'", hint: "Plans are files whose names end in .yaml or .yml.")
        }
        loaded.plans.sort { $0.name < $1.name }
        return loaded
    }

    private static func settings(_ reader: ConfigReader) throws -> HostSettings {
        let host = HostSettings(
            name: try reader.string("host"), stateDirectory: try reader.string("state-directory"),
            metricsFile: try reader.string("metrics-file"))
        if let name = host.name, !SafeName.isValid(name) {
            throw reader.failure("host", "'\(name)' is not a name", hint: PlanReader.nameHint)
        }
        if let path = host.stateDirectory, !path.hasPrefix("/") {
            throw reader.failure("state-directory", "must be an absolute path")
        }
        if let path = host.metricsFile, !path.hasPrefix("/") || path.hasSuffix("/") {
            throw reader.failure(
                "metrics-file", "must be the absolute path of a file",
                hint: "Write it like /var/lib/prometheus/node-exporter/salvor.prom.")
        }
        return host
    }

    private static func isPlan(_ document: ConfigNode) -> Bool {
        guard case .mapping(let pairs, _) = document else { return false }
        let keys = Set(pairs.map(\.key))
        // A plan whose `plan:` was mistyped should be told so, not be taken for salvor.yaml.
        return keys.contains("plan") || keys.contains("sources")
    }

    private static func planFiles(_ folder: String) throws -> [String] {
        guard FileManager.default.fileExists(atPath: folder) else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { ($0.hasSuffix(".yaml") || $0.hasSuffix(".yml")) && !$0.hasPrefix(".") }
                .sorted().map { "\(folder)/\($0)" }
        } catch {
            throw Failure(.configuration, "unable to list '\(folder)': \(FileReason.of(error))")
        }
    }
}
