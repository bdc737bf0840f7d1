// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization

/// What a bundle says of the cluster.
struct EtcdRecord: Codable, Sendable {
    var version: String
    var clusterID: String
    var memberID: String
    var members: [EtcdTools.Member]
    var revision: Int64

    /// - Throws: `Failure(.integrity)`.
    init(_ value: JSONValue) throws {
        do { self = try JSONDecoder().decode(EtcdRecord.self, from: JSONEncoder().encode(value)) } catch {
            throw Failure(.integrity, "the bundle does not describe its cluster")
        }
    }

    init(version: String, clusterID: String, memberID: String, members: [EtcdTools.Member], revision: Int64) {
        self.version = version
        self.clusterID = clusterID
        self.memberID = memberID
        self.members = members
        self.revision = revision
    }

    var json: JSONValue {
        get throws { try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(self)) }
    }

    /// The member that was copied; nil when it was not in its own list.
    var member: EtcdTools.Member? { members.first { $0.id == memberID } }
}

extension EtcdAdapter {
    func freeze() async throws -> any FrozenSource {
        let tools = try await tools()
        for note in try await environment.freezeNotes.all() {
            if let folder = note.data["folder"]?.string { try await Self.remove(folder, tools, settings) }
            try await environment.freezeNotes.erase(note.id)
        }
        let status = try await tools.status()
        let members = try await tools.members()
        let program = try await tools.fileProgram()
        let id = "salvor-etcd-\(BundleID.randomSuffix())"
        let folder = "\(settings.temporaryDirectory)/\(id)"
        try await environment.freezeNotes.add(
            FreezeNote(
                id: id, what: "snapshot in '\(folder)'", data: ["folder": .string(folder)],
                noted: environment.clock.now()))
        do {
            _ = try await environment.transport.output(of: Program("mkdir", ["-m", "700", folder]))
            let file = "\(folder)/snapshot.db"
            let from = environment.clock.now()
            _ = try await tools.run(["snapshot", "save", file])
            let to = environment.clock.now()
            let snapshot = try await tools.snapshot(file, with: program)
            let (keys, hash, notices) = try await Self.count(tools, snapshot.revision)
            var facts = Facts([
                "revision": .count(snapshot.revision), "snapshot entries": .count(snapshot.totalKey),
            ])
            if let keys { facts["keys"] = .count(keys) }
            if let hash { facts["hash of keys and values"] = .text(hash) }
            return EtcdFrozen(
                adapter: self, tools: tools, id: id, folder: folder, from: from, to: to, facts: facts,
                notices: notices,
                record: EtcdRecord(
                    version: status.version, clusterID: String(status.header.cluster, radix: 16),
                    memberID: String(status.header.member, radix: 16), members: members,
                    revision: snapshot.revision), bytes: snapshot.totalSize)
        } catch {
            let (adapter, tools) = (self, tools)
            // Also when this task was cancelled; the note stays when even this fails.
            try? await Task { try await adapter.release(folder, id, tools) }.value
            throw error
        }
    }

    /// Counts at the snapshot's own revision; a compaction in between makes that impossible, and then nothing is counted.
    private static func count(
        _ tools: EtcdTools, _ revision: Int64
    ) async throws -> (keys: Int64?, hash: String?, notices: [String]) {
        do {
            let keys = try await tools.keys(at: revision)
            return (keys, try await tools.hash(at: revision), [])
        } catch let failure as Failure where failure.summary.contains("compacted") {
            return (nil, nil, ["the keys were not counted: the cluster compacted revision \(revision) meanwhile"])
        }
    }

    func release(_ folder: String, _ id: String, _ tools: EtcdTools) async throws {
        try await Self.remove(folder, tools, settings)
        try await environment.freezeNotes.erase(id)
    }

    /// Removes a folder of this adapter's making.
    private static func remove(_ folder: String, _ tools: EtcdTools, _ settings: EtcdSettings) async throws {
        guard folder.contains("/salvor-etcd-"), !folder.contains("/../") else {
            throw Failure(.stateDamaged, "'\(folder)' is no folder of a snapshot")
        }
        _ = try await tools.transport.output(of: Program("rm", ["-rf", folder]))
    }
}

/// A snapshot that lies beside the member until it is read.
struct EtcdFrozen: FrozenSource {
    let adapter: EtcdAdapter
    let tools: EtcdTools
    let id: String
    let folder: String
    let from: Timestamp
    let to: Timestamp
    let facts: Facts
    let notices: [String]
    let record: EtcdRecord
    let bytes: UInt64

    var frozen: (from: Timestamp, to: Timestamp) { (from, to) }
    var position: String? { "revision \(record.revision)" }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let file = "\(folder)/snapshot.db"
        let tools = tools
        _ = try await sink.raw(EtcdAdapter.stream, fileName: "snapshot.db", estimatedBytes: bytes) { output in
            let trailer = SnapshotTrailer()
            let program = Program("cat", [file])
            let (end, exit) = try await tools.transport.stream(program) { bytes in
                trailer.take(bytes)
                try output.write(bytes)
            }
            try exit.requireSuccess(of: program)
            try trailer.check(file)
            return end
        }
        return CaptureReport(
            engine: "etcd \(record.version)", facts: facts, restoreData: try record.json, notices: notices,
            position: position)
    }

    func release() async throws { try await adapter.release(folder, id, tools) }
}

/// The SHA-256 of everything before it that a snapshot ends with (etcdutl, snapshot/v3_snapshot.go).
final class SnapshotTrailer: Sendable {
    private struct State {
        var digest = RunningSHA256()
        var held: [UInt8] = []
    }

    private static let size = 32
    private let state = Mutex(State())

    func take(_ bytes: UnsafeRawBufferPointer) {
        state.withLock { state in
            state.held.append(contentsOf: bytes)
            guard state.held.count > Self.size else { return }
            let ready = state.held.count - Self.size
            state.held.withUnsafeBytes { state.digest.update(UnsafeRawBufferPointer(rebasing: $0[..<ready])) }
            state.held.removeFirst(ready)
        }
    }

    /// - Throws: `Failure(.sourceFailed)` unless the last bytes are the digest of those before.
    func check(_ name: String) throws {
        try state.withLock { state in
            // A database is whole pages of 512 bytes or a multiple.
            guard state.digest.length > 0, state.digest.length.isMultiple(of: 512),
                state.digest.finish().bytes == state.held
            else {
                throw Failure(
                    .sourceFailed, "the snapshot '\(name)' is not whole: it does not end with its own digest",
                    hint: "Look for a full disk beside the member, then run the backup again.")
            }
        }
    }
}
