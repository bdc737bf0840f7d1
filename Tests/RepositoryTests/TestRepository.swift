// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import LocalState
import Repository
import Stores
import Synchronization
import TestSupport

/// A directory repository with real keys and small segments, for one test.
struct TestRepository {
    static let sliceSize = 64 << 10
    let directory: TemporaryDirectory
    let pair: ThrowawayKeys.Pair
    let store: DirectoryStore
    let repository: FormatRepository
    let plan: Plan

    /// - Parameters:
    ///   - readerHome: a keyring of its own for reading; nil: one keyring for both.
    static func make(
        proof: EncryptionSettings.Proof = .decode, keepsLocalBase: Bool = true, state: String = "state"
    ) async throws -> TestRepository {
        let directory = try TemporaryDirectory("repository")
        let pair = try await ThrowawayKeys.pair()
        return try await make(directory, pair, proof: proof, keepsLocalBase: keepsLocalBase, state: state)
    }

    private static func make(
        _ directory: TemporaryDirectory, _ pair: ThrowawayKeys.Pair, proof: EncryptionSettings.Proof,
        keepsLocalBase: Bool, state: String
    ) async throws -> TestRepository {
        try FileManager.default.createDirectory(atPath: directory("repo"), withIntermediateDirectories: true)
        let store = DirectoryStore(directory("repo"))
        let plan = Plan(
            name: "nightly", file: "plan.yaml", repository: RepositorySettings(store: "file://" + directory("repo")),
            encryption: EncryptionSettings(recipients: [pair.recipient], signer: pair.signer, proof: proof),
            sources: [],
            keepsLocalBase: keepsLocalBase)
        let made = TestRepository(
            directory: directory, pair: pair, store: store,
            repository: reader(store, StateDirectory(directory(state)), pair), plan: plan)
        _ = try await made.repository.initialize(plan: plan, at: SystemClock().now())
        return made
    }

    static func reader(
        _ store: any Store, _ state: StateDirectory, _ pair: ThrowawayKeys.Pair,
        _ commitTime: Duration = .seconds(1800)
    ) -> FormatRepository {
        FormatRepository(
            store: store, state: state, gnupgHome: pair.keys.home, concurrency: 2, sliceSize: sliceSize,
            commitTime: commitTime,
            probe: { _, now in ProbeResult(conditionalWrites: true, listAfterPut: true, at: now) })
    }

    /// Backs up one tree whose tar is `tar`, or whose incremental is, when there is a base.
    @discardableResult
    func backUp(
        tree tar: [UInt8], incremental: [UInt8] = [], at seconds: Int64
    ) async throws -> Manifest {
        let started = Timestamp(seconds: 1_790_000_000 + seconds)
        let run = BundleRun(
            id: BundleID(plan: "nightly", started: started, suffix: BundleID.randomSuffix()), host: "test",
            tool: "salvor test", tags: [], comment: #"a comment with "id": "x", {} and \"#, forcesFull: false)
        let writer = try await repository.begin(run, plan: plan, progress: NoteKeeper())
        _ = try await writer.sink(for: "config").tree("tree", estimatedBytes: nil) { sink, base in
            let bytes = base == nil ? tar : incremental
            try await Blocking.run { try sink.write(bytes) }
            return TreeEnd(
                length: UInt64(bytes.count), members: MemberTable(), deletions: [], unchanged: 0, unchangedBytes: 0)
        }
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        let source = SourceSettings(
            name: "config", adapter: "files", transport: .local, settings: .mapping([], mark), mark: mark)
        return try await writer.commit(
            [
                SourceOutcome(
                    source: source, started: started, finished: started,
                    result: .success(CaptureReport(engine: "Files", facts: Facts(["files": .count(7)]))))
            ], finished: started)
    }

    /// Backs up one raw stream per entry of `dumps`; moments must grow from call to call.
    @discardableResult
    func backUp(
        _ dumps: [String: [UInt8]], at seconds: Int64, full: Bool = false, store: (any Store)? = nil,
        notes: NoteKeeper = NoteKeeper(), tags: [String] = [], failing: Bool = false, lasting: Int64 = 0,
        commitTime: Duration = .seconds(1800), beforeCommit: () async throws -> Void = {}
    ) async throws -> Manifest {
        let started = Timestamp(seconds: 1_790_000_000 + seconds)
        let run = BundleRun(
            id: BundleID(plan: plan.name, started: started, suffix: BundleID.randomSuffix()), host: "test",
            tool: "salvor test", tags: tags, comment: "", forcesFull: full)
        let target = store.map { Self.reader($0, StateDirectory(directory("state")), pair, commitTime) } ?? repository
        let writer = try await target.begin(run, plan: plan, progress: notes)
        do {
            for (name, bytes) in dumps.sorted(by: { $0.key < $1.key }) {
                _ = try await writer.sink(for: "db").raw(name, fileName: "\(name).dump", estimatedBytes: nil) { sink in
                    try await Blocking.run {
                        // In odd pieces, as a pipe would give them.
                        var rest = bytes[...]
                        while !rest.isEmpty {
                            try sink.write(Array(rest.prefix(10_007)))
                            rest = rest.dropFirst(10_007)
                        }
                    }
                    return StreamEnd(length: UInt64(bytes.count))
                }
            }
            let settings = SourceSettings(
                name: "db", adapter: "test", transport: .local,
                settings: .mapping([], ConfigMark(file: "plan.yaml", line: 1, column: 1)),
                mark: ConfigMark(file: "plan.yaml", line: 1, column: 1))
            var outcomes = [
                SourceOutcome(
                    source: settings, started: started, finished: started,
                    result: .success(CaptureReport(engine: "Test 1", facts: Facts(["rows": .count(7)]))))
            ]
            if failing {
                var other = settings
                other.name = "other"
                outcomes.append(
                    SourceOutcome(
                        source: other, started: started, finished: started,
                        result: .failure(Failure(.sourceFailed, "as planned"))))
            }
            try await beforeCommit()
            return try await writer.commit(outcomes, finished: Timestamp(seconds: started.seconds + lasting))
        } catch {
            await writer.abandon()
            throw error
        }
    }

    /// The bytes of a stream, read back.
    func read(_ id: BundleID, _ name: String, with repository: FormatRepository? = nil) async throws -> [UInt8] {
        let bundle = try await (repository ?? self.repository).open(id)
        let streams = try await bundle.streams(of: "db")
        guard let stream = streams.first(where: { $0.name == name }) else {
            throw Failure(.integrity, "no stream \(name)")
        }
        let bytes = Mutex<[UInt8]>([])
        try await stream.read(nil) { chunk in bytes.withLock { $0.append(contentsOf: chunk) } }
        return bytes.withLock { $0 }
    }

    /// Paths of the files of a bundle.
    func files(_ id: BundleID) throws -> [String] {
        let root = directory("repo/\(id.folder)")
        let found = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return found.filter { name in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: "\(root)/\(name)", isDirectory: &isFolder)
                && !isFolder.boolValue
        }.sorted().map { "\(root)/\($0)" }
    }
}

/// Keeps notes of a run.
final class NoteKeeper: ProgressListener {
    private let kept = Mutex<[String]>([])

    var notes: [String] { kept.withLock { $0 } }

    func report(_ event: ProgressEvent) {
        if case .note(let text) = event { kept.withLock { $0.append(text) } }
    }
}

/// Text like a dump: rows with keys, reproducible.
enum DumpText {
    static func rows(_ count: Int, seed: UInt64 = 1, changed: Set<Int> = []) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(count * 64)
        for row in 0..<count {
            var state = (seed &+ UInt64(row)) &* 0x9e37_79b9_7f4a_7c15 &+ (changed.contains(row) ? 1 : 0)
            state ^= state >> 29
            state &*= 0xbf58_476d_1ce4_e5b9
            text.append(
                contentsOf: "\(row)\tuser-\(state % 100_000)\t\(String(state, radix: 36))\tcity \(state % 97)\n".utf8)
        }
        return text
    }
}
