// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

extension CassandraAdapter {
    /// Tables that are snapshotted once more when everything else is: of these, the later snapshot counts.
    func lastTables(_ ring: RingState) async throws -> [(String, String)] {
        guard let graph else { return [] }
        let tables = try await coordinator.rows(
            "SELECT JSON keyspace_name, table_name FROM system_schema.tables;"
        ).compactMap { row -> (String, String)? in
            guard let keyspace = row["keyspace_name"]?.string, let table = row["table_name"]?.string else { return nil }
            return (keyspace, table)
        }
        return try graph.keyspaces.map { keyspace in
            guard tables.contains(where: { $0 == (keyspace, graph.idTable) }) else {
                throw Failure(
                    .sourceFailed, "keyspace '\(keyspace)' has no table '\(graph.idTable)', so it is no JanusGraph's",
                    hint: "Correct 'graphs', or 'id-table' where ids.store-name is set.")
            }
            return (keyspace, graph.idTable)
        }
    }

    /// Registered instances and stored options of each graph.
    func graphRecord(_ record: CassandraRecord, _ notices: inout [String]) async throws -> GraphRecord? {
        guard let graph else { return nil }
        var graphs: [GraphRecord.Graph] = []
        for keyspace in graph.graphs {
            guard record.tables.contains(where: { $0.keyspace == keyspace && $0.name == "system_properties" }) else {
                throw Failure(.sourceFailed, "keyspace '\(keyspace)' has no table 'system_properties'")
            }
            var found = GraphRecord.Graph(keyspace: keyspace, instances: [], options: [:])
            for row in try await coordinator.rows(
                "SELECT JSON key, column1, value FROM \(CQLText.qualified(keyspace, "system_properties"));")
            {
                guard let name = row["column1"]?.string.flatMap(Self.text) else { continue }
                if let rest = name.droppingPrefix("system-registration."),
                    let instance = rest.droppingSuffix(".startup-time")
                {
                    found.instances.append(instance)
                } else if Self.toldOptions.contains(where: { name.hasSuffix($0) }) {
                    found.options[name] = row["value"]?.string.flatMap(Self.text) ?? ""
                }
            }
            found.instances.sort()
            if !found.instances.isEmpty {
                notices.append(
                    "graph '\(keyspace)' had \(found.instances.count) registered instances: \(found.instances.joined(separator: ", "))"
                )
            }
            graphs.append(found)
        }
        let result = GraphRecord(
            graphs: graphs, configurationGraph: graph.configurationGraph, idTable: graph.idTable,
            indexBackend: graph.indexBackend)
        if !result.indexNames.isEmpty || graph.indexBackend != nil {
            notices.append(
                "indexes of the backend \(graph.indexBackend ?? result.indexNames.joined(separator: ", ")) are not in the bundle: "
                    + "back it up after this source, or rebuild them after a restore")
        }
        return result
    }

    /// Options whose values are told; others may be secrets.
    private static let toldOptions = [
        ".backend", ".hostname", ".index-name", "graph.storage-version", "graph.janusgraph-version", "graph.graphname",
    ]

    /// The readable part of a blob as `SELECT JSON` prints it. Texts end in a byte with its highest bit set, and values
    /// begin with the number of their type.
    private static func text(_ blob: String) -> String? {
        guard let digits = blob.droppingPrefix("0x"), digits.utf8.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        var rest = digits[...]
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte & 0x7f)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes.filter { (0x20..<0x7f).contains($0) }, as: UTF8.self)
    }

    func graphChecks(_ schema: CapturedSchema) -> [Check] {
        guard let graph else { return [] }
        var checks: [Check] = []
        for keyspace in graph.keyspaces {
            let names = Set(schema.tables.filter { $0.keyspace == keyspace }.map(\.name))
            let missing = Set(["edgestore", "graphindex", "system_properties", graph.idTable]).subtracting(names)
                .sorted()
            checks.append(
                missing.isEmpty
                    ? Check("graph \(keyspace)", .ok, "\(names.count) tables")
                    : Check(
                        "graph \(keyspace)", .failed, "keyspace '\(keyspace)' lacks \(missing.joined(separator: ", "))",
                        remedy: "Correct 'graphs' or 'id-table'.", code: .preflightRefused))
        }
        if graph.configurationGraph == nil {
            checks.append(
                Check(
                    "configuration graph", .ok,
                    "none is named; where ConfiguredGraphFactory is used, set 'configuration-graph'"))
        }
        return checks
    }

    // MARK: After a promotion

    /// Does what of the checklist can be done, and tells the rest.
    func printChecklist(_ restore: SourceRestore, _ page: CassandraPage) async throws {
        guard let graphs = try CassandraRecord(restore.contents.restoreData).graphs else { return }
        var closed = false
        if !page.state.isRenamed, let console = graph?.console, let properties = graph?.properties {
            closed = try await closeInstances(graphs, console, properties)
            if closed { await page.note("the instances of the bundle were closed by the Gremlin console") }
        }
        for (index, line) in graphs.checklist(closed: closed).enumerated() {
            await page.note("JanusGraph \(index + 1): \(line)")
        }
    }

    private func closeInstances(_ graphs: GraphRecord, _ console: [String], _ properties: String) async throws -> Bool {
        let instances = Set(graphs.graphs.flatMap(\.instances)).sorted().filter {
            $0.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
        }
        guard !instances.isEmpty else { return true }
        let script = """
            graph = JanusGraphFactory.open('\(properties)')
            mgmt = graph.openManagement()
            [\(instances.map { "'\($0)'" }.joined(separator: ", "))].each { if (mgmt.getOpenInstances().contains(it)) { mgmt.forceCloseInstance(it) } }
            mgmt.commit()
            println 'instances ' + 'closed'
            graph.close()
            :exit

            """
        let program = Program(console[0], Array(console.dropFirst()))
        let (bytes, exit) = try await coordinator.transport.outputAndExit(of: program, input: Array(script.utf8))
        try exit.requireSuccess(of: program, hint: "Close the instances by hand (docs/sources/janusgraph.md).")
        guard String(decoding: bytes, as: UTF8.self).contains("instances closed") else {
            throw Failure(
                .restoreFailed, "the Gremlin console ended without closing the restored instances",
                hint: "Close them by hand (docs/sources/janusgraph.md), or leave out 'checklist'.")
        }
        return true
    }
}
