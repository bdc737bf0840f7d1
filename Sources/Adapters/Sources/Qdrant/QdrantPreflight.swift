// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

extension QdrantAdapter {
    func preflight() async -> [Check] {
        do {
            return try await withNodes { nodes in
                var checks: [Check] = []
                let first = try Self.first(nodes)
                for node in nodes {
                    let version = try await node.version()
                    checks.append(Check("connection", .ok, "connected to \(node.web.name), version \(version)"))
                }
                let names = try await first.collections()
                let chosen = names.filter(settings.collections.contains)
                let missing = settings.collections.missing(from: names)
                if missing.isEmpty {
                    checks.append(Check("collections", .ok, "\(chosen.count) of \(names.count)"))
                } else {
                    checks.append(
                        Check(
                            "collections", .failed, "there is no '\(missing.joined(separator: "', '"))'",
                            remedy: "Correct 'collections' of the source.", code: .sourceFailed))
                }
                for name in chosen { checks += try await self.checks(of: name, nodes) }
                checks += try await leftovers()
                return checks
            }
        } catch {
            let failure = Failure.wrapping(error, as: .sourceUnreachable)
            return [Check("connection", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }

    private func checks(of name: String, _ nodes: [QdrantNode]) async throws -> [Check] {
        var (held, all) = (Set<Int64>(), Set<Int64>())
        var checks: [Check] = []
        for node in nodes {
            let shards = try await node.shards(name)
            held.formUnion(shards.local.keys)
            all.formUnion(shards.local.keys)
            all.formUnion(shards.remote)
            // Listing needs the right to read; whether it may also make one shows at the capture only, since trying
            // would make one.
            _ = try await node.snapshots(name)
        }
        if !all.subtracting(held).isEmpty {
            checks.append(
                Check(
                    "shards", .failed, "shards of collection '\(name)' are on nodes that are not named",
                    remedy: "List every node of the cluster under 'nodes'.", code: .sourceFailed))
        }
        let status = try await Self.first(nodes).collection(name)["status"]?.string ?? "unknown"
        if status == "red" {
            checks.append(
                Check(
                    "collection", .warning, "collection '\(name)' is red: the server failed to optimise it",
                    remedy: "Look in the server's log."))
        }
        return checks
    }

    private func leftovers() async throws -> [Check] {
        let notes = try await environment.freezeNotes.all()
        guard !notes.isEmpty else { return [] }
        return [
            Check(
                "left behind", .warning, "a run that ended early left \(notes.map(\.what).joined(separator: "; "))",
                remedy: "The next backup removes it.")
        ]
    }
}
