// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// Meilisearch by its dumps, where their folder can be reached: a fixed point, with the keys of embedders. A restore takes
/// settings and documents out of the dump and goes the same way as without.
struct MeilisearchDumpAdapter: FreezingAdapter {
    let base: MeilisearchAdapter
    /// Where the server puts dumps, beside it.
    let directory: String

    private var transport: any Transport { base.environment.transport }

    func preflight() async -> [Check] {
        var checks = await base.preflight()
        do {
            _ = try await transport.output(of: Program("ls", [directory]), limit: 16 << 20)
            _ = try await transport.output(of: Program("gzip", ["--help"]))
            checks.append(Check("dump directory", .ok, directory))
        } catch {
            let failure = Failure.wrapping(error)
            checks.append(
                Check(
                    "dump directory", .failed, failure.summary,
                    remedy: "Set 'dump-directory' to the server's --dump-dir as it is seen over the transport.",
                    code: failure.code))
        }
        return checks
    }

    func freeze() async throws -> any FrozenSource {
        let notices = try await removeLeftovers()
        let from = base.environment.clock.now()
        return try await base.withServer { server in
            let version = try await server.version()
            _ = try await server.waitUntilIdle(seconds: min(30, base.settings.taskTimeout))
            var note = FreezeNote(
                id: "meilisearch-\(BundleID.randomSuffix())", what: "a dump in '\(directory)'",
                data: ["after": .integer(try await server.newestTask())], noted: from)
            try await base.environment.freezeNotes.add(note)
            do {
                let task = try await server.enqueue("POST", "/dumps", nil, step: "making a dump")
                note.data = ["task": .integer(task)]
                try await base.environment.freezeNotes.add(note)
                try await server.finish(task, step: "making a dump")
                guard let dump = try await Self.dump(of: task, server) else {
                    throw Failure(.sourceFailed, "\(server.web.name): task \(task) names no dump")
                }
                return FrozenDump(
                    adapter: self, path: path(dump), version: version, task: task, note: note.id, notices: notices,
                    keys: try await server.keys(), frozen: (from, base.environment.clock.now()))
            } catch {
                // Not cancelled with the rest: what was made must go. What stays is noted for the next run.
                await Task { _ = try? await removeLeftovers() }.value
                throw error
            }
        }
    }

    private func path(_ dump: String) -> String { "\(directory)/\(dump).dump" }

    /// The name of the dump that a task made; nil while it has made none.
    private static func dump(of task: Int64, _ server: MeilisearchServer) async throws -> String? {
        let json = try await server.web.json("GET", "/tasks/\(task)", step: "asking for task \(task)")
        guard let name = json["details"]?["dumpUid"]?.string, !name.isEmpty,
            name.utf8.allSatisfy({ ($0 >= 48 && $0 <= 57) || $0 == 45 })
        else { return nil }
        return name
    }

    /// Removes the dumps that runs before this one left behind.
    func removeLeftovers() async throws -> [String] {
        let notes = try await base.environment.freezeNotes.all()
        guard !notes.isEmpty else { return [] }
        return try await base.withServer { server in
            var notices: [String] = []
            for note in notes {
                var tasks = [note.data["task"]?.integer].compactMap { $0 }
                if let after = note.data["after"]?.integer {
                    // The run died before it knew its task: of several, one is ours and the others are somebody's.
                    tasks = try await server.tasks(after: after, types: ["dumpCreation"]).map(\.uid)
                }
                if tasks.count == 1, let name = try await Self.dump(of: tasks[0], server) {
                    try await remove(path(name))
                    notices.append("removed what an earlier run left behind: '\(path(name))'")
                } else if tasks.count > 1 {
                    notices.append("an earlier run left a dump in '\(directory)': look for it and remove it")
                }
                try await base.environment.freezeNotes.erase(note.id)
            }
            return notices
        }
    }

    func remove(_ path: String) async throws {
        _ = try await transport.output(of: Program("rm", ["-f", path]))
    }

    /// Gives the dump as a plain tar: gzip checks its checksum on the way, and what is plain makes small deltas.
    func read(
        _ path: String, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> StreamEnd {
        let program = Program("gzip", ["-dc", path])
        let (end, exit) = try await transport.stream(program, consume)
        try exit.requireSuccess(of: program, hint: "Look at the dump beside the server, and at its disk.")
        return end
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        try await base.planRestore(restore)
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await base.stage(restore, journal: journal)
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        try await base.verify(restore, journal: journal)
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await base.promote(restore, journal: journal)
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await base.rollBack(place, journal: journal)
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await base.abandon(place, journal: journal)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await base.settle(place, journal: journal)
    }
}
