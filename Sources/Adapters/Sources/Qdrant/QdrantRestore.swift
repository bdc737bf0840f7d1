// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

extension QdrantAdapter {
    private typealias Aliased = AliasedRestore<QdrantEngine>

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let origin = restore.contents.engine
        do {
            return try await withNodes { nodes in try await plan(restore, nodes) }
        } catch let failure as Failure {
            return SourceRestorePlan(
                target: "Qdrant at \(settings.nodes.first?.web.url ?? "?")", origin: origin, blockers: [failure.summary]
            )
        }
    }

    private func plan(_ restore: SourceRestore, _ nodes: [QdrantNode]) async throws -> SourceRestorePlan {
        let first = try Self.first(nodes)
        let version = try await first.version()
        var plan = SourceRestorePlan(
            target: "Qdrant \(version) at \(settings.nodes.map(\.web.url).joined(separator: ", "))",
            origin: restore.contents.engine)
        plan.blockers += Self.versionBlockers(restore, version)
        let chosen = try Self.chosen(restore)
        let units = Self.units(restore, chosen)
        if restore.rename != nil, chosen.count != 1 {
            plan.blockers.append("'--rename' takes one collection, and \(chosen.count) are chosen: use '--include'")
        }
        let outlook = Aliased.outlook(
            units, collections: Set(try await first.collections()), aliases: try await first.aliases(),
            isRenamed: restore.rename != nil)
        plan.replaces = outlook.replaces
        plan.blockers += outlook.blockers
        plan.warnings += outlook.warnings
        plan.creates = units.map { "collection \($0.staged)" }
        plan.bytesNeeded = try chosen.flatMap(\.parts).reduce(0) {
            try $0 + restore.stream($1.stream).receipt.length
        }
        plan.steps = units.map {
            .init(
                "stage", "load the snapshot of '\($0.name)' into a new collection",
                command: "POST /collections/\($0.staged)/snapshots/upload?wait=true&priority=…&checksum=…")
        }
        plan.steps.append(
            .init("verify", "count the points and compare sampled ones", command: "POST /collections/…/points/count"))
        plan.steps.append(.init("promote", "switch the aliases in one request", command: "POST /collections/aliases"))
        plan.warnings.append(
            "Qdrant does not tell its free space: loading a snapshot takes two to three times its size")
        return plan
    }

    private static func versionBlockers(_ restore: SourceRestore, _ version: QdrantVersion) -> [String] {
        guard let origin = restore.contents.restoreData["version"]?.string.flatMap({ QdrantVersion($0) }) else {
            return ["the bundle does not tell which version of Qdrant it came from"]
        }
        guard !version.loads(origin) else { return [] }
        return [
            "Qdrant \(version) does not load snapshots of \(origin): use \(origin.major).\(origin.minor) or one minor newer"
        ]
    }

    /// One collection of the bundle.
    struct Stored: Sendable {
        struct Part: Sendable {
            var node: String
            var stream: String
            var shards: Set<Int64>
        }

        var name: String
        var config: JSONValue
        var keys: [(shard: Int64, key: JSONValue)]
        var parts: [Part]
        var least: Int64
        var most: Int64
        var sample: [JSONValue]

        init?(_ value: JSONValue) {
            guard let name = value["name"]?.string, let least = value["least"]?.integer,
                let most = value["most"]?.integer
            else { return nil }
            (self.name, self.least, self.most) = (name, least, most)
            config = value["config"] ?? .null
            keys = (value["keys"]?.array ?? []).compactMap { pair in
                guard let shard = pair.array?.first?.integer, let key = pair.array?.last else { return nil }
                return (shard, key)
            }
            parts = (value["parts"]?.array ?? []).map { part in
                Part(
                    node: part["node"]?.string ?? "", stream: part["stream"]?.string ?? "",
                    shards: Set((part["shards"]?.array ?? []).compactMap(\.integer)))
            }
            sample = value["sample"]?.array ?? []
        }
    }

    private static func chosen(_ restore: SourceRestore) throws -> [Stored] {
        let all = (restore.contents.restoreData["collections"]?.array ?? []).compactMap { Stored($0) }
        let names = ChosenNames(restore.include.isEmpty ? nil : restore.include)
        let chosen = all.filter { names.contains($0.name) }
        guard !chosen.isEmpty else {
            throw Failure(
                .nothingSelected, "the bundle has no such collection of '\(restore.contents.name)'",
                hint: "It has \(all.map(\.name).joined(separator: ", ")).")
        }
        return chosen
    }

    private static func units(_ restore: SourceRestore, _ chosen: [Stored]) -> [AliasedRecord.Unit] {
        let aliases = (restore.contents.restoreData["aliases"]?.members ?? [:]).compactMapValues(\.string)
        return Aliased.units(
            chosen.map(\.name), aliases: aliases, rename: restore.rename, restoreID: restore.restoreID)
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let chosen = try Self.chosen(restore)
        guard restore.rename == nil || chosen.count == 1 else {
            throw Failure(.restoreBlocked, "'--rename' takes one collection", hint: "Choose it with '--include'.")
        }
        try await withNodes { nodes in
            let blockers = Self.versionBlockers(restore, try await Self.first(nodes).version())
            guard blockers.isEmpty else { throw Failure(.versionRefused, blockers.joined(separator: "; ")) }
            var aliased = try await Aliased(
                QdrantEngine(nodes: nodes), source: environment.source.name, journal: journal)
            try await aliased.stage(Self.units(restore, chosen)) { unit in
                guard let stored = chosen.first(where: { $0.name == unit.name }) else { return }
                try await load(stored, as: unit.staged, from: restore, nodes)
            }
        }
    }

    private func load(
        _ stored: Stored, as staged: String, from restore: SourceRestore, _ nodes: [QdrantNode]
    ) async throws {
        let first = try Self.first(nodes)
        if nodes.count > 1 || !stored.keys.isEmpty {
            // A cluster must spread the shards first; and of shards with keys a new collection would take none, and say
            // that all went well.
            try await first.create(staged, QdrantEngine.creation(stored.config))
            var made: [JSONValue] = []
            for (_, key) in stored.keys where !made.contains(key) {
                try await first.createShardKey(key, of: staged)
                made.append(key)
            }
        }
        for node in nodes {
            let parts =
                nodes.count == 1
                ? stored.parts : Self.cover(try await node.shards(staged).local.keys, by: stored.parts, node.name)
            for part in parts {
                let stream = try restore.stream(part.stream)
                try await node.upload(
                    into: staged, fileName: "\(SafeName.escaping(stored.name)).snapshot", length: stream.receipt.length,
                    checksum: stream.receipt.sha256, priority: nodes.count == 1 ? "snapshot" : "no_sync"
                ) { sink in try await stream.read(nil) { try sink.write($0) } }
                // The uploaded file stays on the server otherwise. The collection is ours, and so is all it has.
                for left in try await node.snapshots(staged) { try await node.removeSnapshot(left.name, of: staged) }
            }
        }
        let count = try await first.count(staged)
        guard count > 0 || stored.least == 0 else {
            throw Failure(
                .restoreFailed, "\(first.web.name) says that it loaded '\(stored.name)', and the collection is empty",
                hint: "The live collections were not touched; look in the server's log.")
        }
    }

    /// The fewest snapshots that hold those shards; the node's own comes first.
    static func cover(_ shards: some Sequence<Int64>, by parts: [Stored.Part], _ node: String) -> [Stored.Part] {
        var missing = Set(shards)
        var chosen: [Stored.Part] = []
        while let best = parts.filter({ !$0.shards.isDisjoint(with: missing) }).max(by: { left, right in
            let (a, b) = (left.shards.intersection(missing).count, right.shards.intersection(missing).count)
            return a == b ? right.node == node : a < b
        }) {
            chosen.append(best)
            missing.subtract(best.shards)
        }
        return chosen
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        let chosen = try Self.chosen(restore)
        return try await withNodes { nodes in
            let first = try Self.first(nodes)
            let aliased = try await Aliased(
                QdrantEngine(nodes: nodes), source: environment.source.name, journal: journal)
            var (recorded, found) = (Facts(), Facts())
            for stored in chosen {
                guard let unit = aliased.record.units.first(where: { $0.name == stored.name && $0.isLoaded }) else {
                    throw Failure(.restoreFailed, "collection '\(stored.name)' is not staged")
                }
                let count = try await first.count(unit.staged)
                guard (stored.least...stored.most).contains(count) else {
                    throw Failure(
                        .verifyFailed,
                        "collection '\(stored.name)' has \(count) points, and \(stored.least) to \(stored.most) were there",
                        hint: "The live collections were not touched.")
                }
                let names = [QdrantNames.points, QdrantNames.vectors, QdrantNames.sample].map { $0(stored.name) }
                for name in names { recorded[name] = restore.contents.facts[name] }
                if recorded[names[0]] != nil { found[names[0]] = .count(count) }
                let parameters = try await first.collection(unit.staged)["config"]?["params"]
                found[names[1]] = .text((parameters?["vectors"] ?? .null).canonical)
                if recorded[names[2]] != nil {
                    found[names[2]] = QdrantCopy.digest(try await first.points(unit.staged, ids: stored.sample))
                }
            }
            return recorded.compared(with: found)
        }
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await continued(journal) { try await $0.promote() }
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await continued(journal) { try await $0.rollBack() }
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await continued(journal) { try await $0.abandon() }
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await continued(journal) { try await $0.settle() }
    }

    private func continued(
        _ journal: any RestoreJournal, _ step: @Sendable (inout AliasedRestore<QdrantEngine>) async throws -> Void
    ) async throws {
        try await withNodes { nodes in
            var aliased = try await AliasedRestore(
                QdrantEngine(nodes: nodes), source: environment.source.name, journal: journal)
            try await step(&aliased)
        }
    }
}
