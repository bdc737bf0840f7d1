// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

extension QdrantAdapter {
    /// Takes all snapshots, one after the other. When one fails, those made before are removed.
    func freeze() async throws -> any FrozenSource {
        var notices = try await removeLeftovers()
        let from = environment.clock.now()
        do {
            let (copies, version, aliases, more) = try await withNodes { nodes in try await snapshots(on: nodes) }
            notices += more
            return FrozenQdrant(
                adapter: self, copies: copies, version: version, aliases: aliases, notices: notices,
                frozen: (from, environment.clock.now()))
        } catch {
            // Not cancelled with the rest: what was made must go. What stays is noted for the next run.
            await Task { _ = try? await removeLeftovers() }.value
            throw error
        }
    }

    private func snapshots(
        on nodes: [QdrantNode]
    ) async throws -> ([QdrantCopy], QdrantVersion, [String: String], [String]) {
        let first = try Self.first(nodes)
        let version = try await first.version()
        for node in nodes.dropFirst() {
            let other = try await node.version()
            guard other == version else {
                throw Failure(
                    .versionRefused, "node '\(node.name)' runs Qdrant \(other) and '\(first.name)' runs \(version)",
                    hint: "Finish the upgrade of the cluster first.")
            }
        }
        let names = try await first.collections()
        let missing = settings.collections.missing(from: names)
        guard missing.isEmpty else {
            throw Failure(
                .sourceFailed, "\(first.web.name) has no collection '\(missing.joined(separator: "', '"))'",
                hint: "Correct 'collections' of the source.")
        }
        let chosen = names.filter(settings.collections.contains)
        let aliases = try await first.aliases().filter { chosen.contains($0.value) }
        var copies: [QdrantCopy] = []
        var notices: [String] = []
        for name in chosen {
            let copy = try await snapshots(of: name, on: nodes)
            if copy.least != copy.most {
                notices.append(
                    "points of collection '\(name)' changed while its snapshot was taken: \(copy.least) to \(copy.most)"
                )
            }
            if copy.parts.contains(where: { $0.snapshot.checksum == nil }) {
                notices.append(
                    "the server gave no checksum for collection '\(name)': damage on its side goes unnoticed")
            }
            copies.append(copy)
        }
        return (copies, version, aliases, notices)
    }

    private static let sampleSize = 8

    private func snapshots(of name: String, on nodes: [QdrantNode]) async throws -> QdrantCopy {
        let first = try Self.first(nodes)
        let parameters = try await first.collection(name)
        let holders = try await holders(of: name, nodes)
        let before = try await first.count(name)
        let sampleBefore = try await first.sample(name, limit: Self.sampleSize)
        var parts: [QdrantCopy.Part] = []
        for (node, shards) in holders {
            let known = try await node.snapshots(name).map(\.name)
            var note = FreezeNote(
                id: "qdrant-\(BundleID.randomSuffix())", what: "a snapshot of collection '\(name)' on \(node.web.name)",
                data: [
                    "node": .string(node.name), "collection": .string(name),
                    "before": .array(known.map { .string($0) }),
                ], noted: environment.clock.now())
            try await environment.freezeNotes.add(note)
            let snapshot = try await node.makeSnapshot(name)
            note.data = [
                "node": .string(node.name), "collection": .string(name), "snapshot": .string(snapshot.name),
            ]
            try await environment.freezeNotes.add(note)
            parts.append(QdrantCopy.Part(node: node.name, snapshot: snapshot, shards: shards, note: note.id))
        }
        let after = try await first.count(name)
        let sampleAfter = try await first.sample(name, limit: Self.sampleSize)
        return QdrantCopy(
            collection: name, parameters: parameters["config"] ?? .null, schema: parameters["payload_schema"] ?? .null,
            keys: try await first.shards(name).keys, parts: parts, least: min(before, after), most: max(before, after),
            // Only what was the same before and after is surely in the snapshot.
            sample: sampleBefore.filter { sampleAfter.contains($0) })
    }

    /// The nodes that hold shards, each with those it holds.
    ///
    /// - Throws: when a shard is on none of the named nodes: its points would be missing.
    private func holders(of name: String, _ nodes: [QdrantNode]) async throws -> [(QdrantNode, [Int64])] {
        var (held, all) = (Set<Int64>(), Set<Int64>())
        var result: [(QdrantNode, [Int64])] = []
        for node in nodes {
            let shards = try await node.shards(name)
            if let bad = shards.local.first(where: { $0.value != "Active" }) {
                throw Failure(
                    .sourceFailed, "\(node.web.name): shard \(bad.key) of collection '\(name)' is \(bad.value)",
                    hint: "Wait until the node has recovered it, then try again.")
            }
            held.formUnion(shards.local.keys)
            all.formUnion(shards.local.keys)
            all.formUnion(shards.remote)
            if !shards.local.isEmpty { result.append((node, shards.local.keys.sorted())) }
        }
        let missing = all.subtracting(held).sorted()
        guard missing.isEmpty, !result.isEmpty else {
            throw Failure(
                .sourceFailed,
                "shards \(missing.map(String.init).joined(separator: ", ")) of collection '\(name)' are on nodes that "
                    + "are not named",
                hint: "List every node of the cluster under 'nodes', by an address that leads to this node only.")
        }
        return result
    }

    static func first(_ nodes: [QdrantNode]) throws -> QdrantNode {
        guard let first = nodes.first else { throw Failure(.internalError, "no node of Qdrant is named") }
        return first
    }

    /// Removes the snapshots that runs before this one left behind, and gives what is worth telling.
    func removeLeftovers() async throws -> [String] {
        let notes = try await environment.freezeNotes.all()
        guard !notes.isEmpty else { return [] }
        return try await withNodes { nodes in
            var notices: [String] = []
            for note in notes {
                guard let collection = note.data["collection"]?.string,
                    let node = nodes.first(where: { $0.name == note.data["node"]?.string })
                else {
                    notices.append("not removed, for its node is not named any more: \(note.what)")
                    continue
                }
                let known = try await node.collections().contains(collection)
                let names = known ? try await Self.leftovers(note, on: node, collection) : []
                if names.count > 1 {
                    // One is ours and the others are somebody's backups: no guess is good enough to delete those.
                    notices.append(
                        "one of these snapshots of collection '\(collection)' was left by a run that ended early; "
                            + "remove it by hand: \(names.joined(separator: ", "))")
                } else if let name = names.first {
                    try await node.removeSnapshot(name, of: collection)
                    notices.append("removed what an earlier run left behind: snapshot '\(name)'")
                }
                try await environment.freezeNotes.erase(note.id)
            }
            return notices
        }
    }

    /// The snapshots that a note may mean: the one it names or, when its run died before the name was known, those that
    /// came within an hour of it.
    private static func leftovers(
        _ note: FreezeNote, on node: QdrantNode, _ collection: String
    ) async throws -> [String] {
        let present = try await node.snapshots(collection)
        if let name = note.data["snapshot"]?.string { return present.map(\.name).filter { $0 == name } }
        let before = Set((note.data["before"]?.array ?? []).compactMap(\.string))
        return present.filter { snapshot in
            guard !before.contains(snapshot.name) else { return false }
            // UTC without a zone; a server that tells no time may mean any.
            guard let made = snapshot.created.flatMap({ Timestamp($0.prefix(19) + "Z") }) else { return true }
            return abs(made.seconds(since: note.noted)) < 3600
        }.map(\.name)
    }
}
