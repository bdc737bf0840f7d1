// SPDX-License-Identifier: Apache-2.0
import Domain

extension CassandraAdapter {
    func preflight() async -> [Check] {
        var checks: [Check] = []
        for node in nodes { checks += await tools(of: node) }
        guard !checks.contains(where: { $0.state == .failed }) else { return checks }
        do {
            let ring = try await reader.read()
            checks.append(
                Check(
                    "ring", .ok,
                    "\(ring.release), cluster '\(ring.cluster)', \(ring.nodes.count + ring.peers.count) nodes, "
                        + "all up, one schema"))
            try requireWhole(ring)
            if settings.scope == .node {
                checks.append(
                    Check(
                        "scope", .ok,
                        "one of \(ring.peers.count + 1) nodes of '\(settings.group ?? "")': each needs a source of its own"
                    ))
            }
            checks += await directories(ring)
            let schema = try await SchemaReader(node: coordinator, release: ring.release).read(settings.keyspaces)
            let tables = schema.tables.filter { !CassandraRecord.isSystem($0.keyspace) }
            checks.append(Check("schema", .ok, "\(tables.count) tables in \(schema.keyspaces.count) keyspaces"))
            checks += graphChecks(schema)
        } catch {
            let failure = Failure.wrapping(error, as: .sourceFailed)
            checks.append(Check("ring", .failed, failure.summary, remedy: failure.hint, code: failure.code))
        }
        return checks
    }

    /// What runs beside a node: nodetool and cqlsh, and the programs by which its files are read.
    private func tools(of node: CassandraNode) async -> [Check] {
        var checks: [Check] = []
        func look(_ name: String, _ remedy: String, _ body: () async throws -> String) async {
            do { checks.append(Check("\(node.name) \(name)", .ok, try await body())) } catch {
                let failure = Failure.wrapping(error, as: .sourceUnreachable)
                checks.append(
                    Check(
                        "\(node.name) \(name)", .failed, failure.summary, remedy: failure.hint ?? remedy,
                        code: failure.code))
            }
        }
        await look("nodetool", "Set 'commands.nodetool' to where it is.") {
            let text = try await node.nodetool(["version"])
            let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("ReleaseVersion: ") }
            guard let line, let release = CassandraRelease(String(line), product: settings.product) else {
                throw Failure(.versionRefused, "node '\(node.name)': nodetool version says nothing that is understood")
            }
            guard (3...5).contains(release.major), release.major > 3 || release.minor >= 11 else {
                throw Failure(
                    .versionRefused, "\(release) on node '\(node.name)' is not supported",
                    hint: "Apache Cassandra 3.11 to 5.0 and DataStax HCD are.")
            }
            return release.description
        }
        await look("cqlsh", "Set 'commands.cqlsh' to where it is.") {
            let rows = try await node.rows("SELECT JSON cluster_name FROM system.local;")
            return "connected to cluster '\(rows.first?["cluster_name"]?.string ?? "?")'"
        }
        await look("GNU find and tar", "Install GNU findutils and tar beside the node.") {
            for program in ["find", "tar"] {
                let bytes = try await node.transport.output(of: Program(program, ["--version"]))
                guard String(decoding: bytes, as: UTF8.self).contains("GNU") else {
                    throw Failure(.programMissing, "\(program) on node '\(node.name)' is not GNU's")
                }
            }
            return "found"
        }
        return checks
    }

    private func directories(_ ring: RingState) async -> [Check] {
        var checks: [Check] = []
        for node in nodes {
            let directories = ring.dataDirectories[node.name] ?? []
            do {
                let folders = try await node.files.directories(directories, depth: 2, path: "*")
                guard !folders.isEmpty else {
                    throw Failure(
                        .preflightRefused,
                        "node '\(node.name)' has no tables in \(directories.joined(separator: ", "))",
                        hint: "Correct 'data-directories' or 'cassandra-yaml'.")
                }
                if let folder = folders.first(where: { $0.hasSuffix("/system/local-7ad54392bcdd35a684174e047860b377") })
                {
                    _ = try await node.files.regularFiles([folder])
                }
                checks.append(Check("\(node.name) data", .ok, directories.joined(separator: ", ")))
                let left = try await node.files.directories(directories, depth: 4, path: "*/snapshots/\(tagPrefix)*")
                if !left.isEmpty {
                    checks.append(
                        Check(
                            "\(node.name) left-overs", .warning,
                            "\(left.count) snapshot folders of an earlier run, which the next run clears",
                            remedy: "Nothing, unless another run is at work."))
                }
            } catch {
                let failure = Failure.wrapping(error, as: .sourceFailed)
                checks.append(
                    Check("\(node.name) data", .failed, failure.summary, remedy: failure.hint, code: failure.code))
            }
            if !node.node.configuration.isEmpty {
                do { _ = try await node.files.regularFiles(node.node.configuration) } catch {
                    let failure = Failure.wrapping(error, as: .sourceFailed)
                    checks.append(
                        Check(
                            "\(node.name) configuration", .failed, failure.summary,
                            remedy: failure.hint ?? "Correct 'configuration'.", code: failure.code))
                }
            }
        }
        return checks
    }
}
