// SPDX-License-Identifier: Apache-2.0
import Domain

extension PlanReader {
    /// The plan's sources; at least one, each name once.
    func sources(_ reader: ConfigReader, plan: String) throws -> [SourceSettings] {
        guard let nodes = try reader.sequence("sources"), !nodes.isEmpty else {
            throw reader.failure("sources", "must list at least one source")
        }
        var sources: [SourceSettings] = []
        for (index, node) in nodes.enumerated() {
            var source = try source(node, path: "sources[\(index)]")
            source.plan = plan
            if let first = sources.first(where: { $0.name == source.name }) {
                throw Failure(
                    .configuration,
                    "\(source.mark): a source named '\(source.name)' is there already (line \(first.mark.line))",
                    hint: "Give one of them another name.")
            }
            sources.append(source)
        }
        return sources
    }

    private func source(_ node: ConfigNode, path: String) throws -> SourceSettings {
        guard case .mapping(let pairs, let mark) = node else {
            throw Failure(.configuration, "\(node.mark): '\(path)' must be a mapping")
        }
        // The adapter refuses keys it does not know; here only the shared ones are read.
        let reader = try ConfigReader(node, path: path, allowed: pairs.map(\.key))
        try explainMissing(reader, pairs.map(\.key))
        let name = try reader.requiredString("name")
        guard SafeName.isValid(name) else {
            throw reader.failure("name", "'\(name)' is not a name", hint: Self.nameHint)
        }
        let adapter = try reader.requiredString("adapter")
        guard adapters.contains(adapter) else {
            let hint =
                NearestName.of(adapter, among: adapters).map { "Did you mean '\($0)'?" }
                ?? "This salvor has \(adapters.sorted().joined(separator: ", "))."
            throw reader.failure("adapter", "knows no '\(adapter)'", hint: hint)
        }
        let own = pairs.filter { !PlanKeys.source.contains($0.key) }
        let drill = try DrillReader.read(reader)
        return SourceSettings(
            name: name, adapter: adapter, transport: try TransportReader.read(reader), settings: .mapping(own, mark),
            mark: mark,
            timeLimit: try reader.duration("time-limit"), retries: try reader.integer("retries", in: 0...20) ?? 0,
            retryDelay: try reader.duration("retry-delay") ?? SourceSettings.standardRetryDelay,
            isIndex: try isIndex(reader, adapter), freezes: try reader.bool("freeze") ?? true,
            recipients: pairs.contains { $0.key == "recipients" } ? try EncryptionReader.recipients(reader) : [],
            assertions: drill.assertions, drillProgram: drill.program)
    }

    /// Only what can be swapped with a probe and put back counts as a search index.
    private func isIndex(_ reader: ConfigReader, _ adapter: String) throws -> Bool {
        guard try reader.bool("index") == true else { return false }
        guard indexAdapters.contains(adapter) else {
            throw reader.failure(
                "index", "is for search indexes that are rebuilt from bundles, and '\(adapter)' sources are not",
                hint: "Adapters that can be marked: \(indexAdapters.sorted().joined(separator: ", ")); restore others "
                    + "with 'salvor restore --source'.")
        }
        return true
    }

    /// A slip in one of the shared keys reads as that key missing: tell the slip instead.
    private func explainMissing(_ reader: ConfigReader, _ keys: [String]) throws {
        for wanted in ["name", "adapter"] where !keys.contains(wanted) {
            if let slip = keys.first(where: {
                NearestName.of($0, among: [wanted]) != nil && !PlanKeys.source.contains($0)
            }) {
                throw reader.failure(slip, "is unknown", hint: "Did you mean '\(wanted)'?")
            }
        }
    }
}
