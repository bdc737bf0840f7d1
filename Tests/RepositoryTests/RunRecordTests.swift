// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import LocalState
import Operations
import Repository
import Stores
import Synchronization
import TestSupport
import Testing

@Suite("Records of runs")
struct RunRecordTests {
    private static let zero: Int64 = 1_790_000_000

    private func record(_ seconds: Int64, _ kind: RunRecord.Kind = .backup, failure: Failure? = nil) -> RunRecord {
        var record = RunRecord(
            id: BundleID(
                plan: "nightly", started: Timestamp(seconds: Self.zero + seconds), suffix: BundleID.randomSuffix()),
            kind: kind, isWhole: true, host: "db-1", tool: "salvor test")
        record.finished = Timestamp(seconds: Self.zero + seconds + 60)
        record.failure = failure.map { RecordedFailure($0) }
        record.outcome = failure == nil ? .ok : .failed
        record.sources = [RecordedSource(name: "app-db", seconds: 1.5, rawBytes: 100, storedBytes: 10)]
        return record
    }

    private func read(_ repository: FormatRepository) async throws -> (records: [RunRecord], unbelieved: [String]) {
        let found = try await repository.runRecords(plan: "nightly", since: Timestamp(seconds: 0))
        return (found.records, found.unbelieved.map { "\($0.name) \($0.failure.code)" })
    }

    @Test("what is stored is read again, oldest first, since a moment; storing it twice is storing it once")
    func stored() async throws {
        let test = try await TestRepository.make()
        let failed = record(200_000, failure: Failure(.sourceDenied, "no", hint: "Grant it."))
        let earlier = [record(0), record(100_000, .prune)]
        for record in [failed] + earlier {
            let signed = try await test.repository.store(record, plan: test.plan)
            #expect(try await test.repository.store(record, plan: test.plan) == signed)
            #expect(signed.signer == test.pair.signer && signed.repository.isEmpty == false)
        }
        let found = try await read(test.repository)
        #expect(found.records.map(\.id) == (earlier + [failed]).map(\.id) && found.unbelieved == [])
        #expect(found.records.last?.failure == failed.failure && found.records.last?.sources == failed.sources)
        let since = try await test.repository.runRecords(
            plan: "nightly", since: Timestamp(seconds: Self.zero + 100_000))
        #expect(since.records.map(\.id) == [earlier[1].id, failed.id])
        // Another run under the same name is refused, and the one that is there stays.
        var other = failed
        other.outcome = .ok
        await #expect { _ = try await test.repository.store(other, plan: test.plan) } throws: {
            ($0 as? Failure)?.code == .conflict
        }
    }

    @Test(
        "one that was changed, lost its signature, was copied from another run, or signed by a stranger does not count")
    func unbelieved() async throws {
        let test = try await TestRepository.make()
        let records = (0..<5).map { record(Int64($0) * 100) }
        for record in records { _ = try await test.repository.store(record, plan: test.plan) }
        let keys = records.map { RunRecord.key($0.id, $0.kind) }
        var bytes = try await test.store.get(keys[0])
        bytes[bytes.count / 2] ^= 1
        try await test.store.put(keys[0], bytes)
        try await test.store.delete(keys[1] + ".sig")
        for end in ["", ".sig"] { try await test.store.put(keys[2] + end, try await test.store.get(keys[4] + end)) }
        let stranger = try await ThrowawayKeys.pair()
        let signature = try await stranger.keys.run(
            ["--local-user", stranger.signer, "--detach-sign"], input: try await test.store.get(keys[3]))
        try await test.store.put(keys[3] + ".sig", signature.output)
        let found = try await read(test.repository)
        #expect(found.records.map(\.id) == [records[4].id])
        #expect(found.unbelieved.count == 4, "\(found.unbelieved)")
    }

    /// Remembers what it is told.
    private final class Listener: RunObserver {
        let told = Mutex<[String]>([])
        func began(_ record: RunRecord, plan: Plan) async { told.withLock { $0.append("began") } }
        func ended(_ record: RunRecord, plan: Plan, history: [RunRecord]) async {
            told.withLock { $0.append("\(record.outcome) \(record.failure?.code ?? "-") after \(history.count)") }
        }
    }

    private struct Bench {
        let test: TestRepository
        let history: RunHistoryFiles
        let listener = Listener()
        let notes = NoteKeeper()

        init() async throws {
            test = try await TestRepository.make()
            history = RunHistoryFiles(StateDirectory(test.directory("state")), plan: "nightly")
        }

        func run(
            _ record: RunRecord, reachable: Bool = true, _ body: @Sendable () async throws -> RunFindings
        ) async throws {
            let (notes, repository) = (notes, test.repository)
            let recording = RunRecording(history: history, clock: SystemClock(), observers: [listener]) {
                notes.report(.note($0))
            }
            _ = try await recording.run(
                record, plan: test.plan,
                repository: {
                    guard reachable else { throw Failure(.storageUnreachable, "nobody answers") }
                    return repository
                }, findings: { $0 }, body)
        }
    }

    @Test("a run is recorded whatever becomes of it; what cannot be stored waits on the host for the next run")
    func outcomes() async throws {
        let bench = try await Bench()
        let bundle = record(5).id
        try await bench.run(record(0)) { RunFindings(bundle: bundle, rawBytes: 7, storedBytes: 3) }
        try await bench.run(record(10), reachable: false) {
            RunFindings(failure: Failure(.sourceFailed, "one source is missing"))
        }
        #expect(bench.notes.notes.contains { $0.contains("stay on this host") && $0.contains("nobody answers") })
        await #expect(throws: Failure.self) {
            try await bench.run(record(20)) { throw Failure(.storageUnreachable, "gone") }
        }
        await #expect(throws: CancellationError.self) { try await bench.run(record(30)) { throw CancellationError() } }
        #expect(try await read(bench.test.repository).records.map(\.outcome) == [.ok])
        #expect(try bench.history.pending().map(\.outcome) == [.partial, .failed, .failed])
        try await bench.run(record(40, .validate)) { RunFindings(failure: Failure(.integrity, "damaged")) }
        #expect(try bench.history.pending() == [])
        let stored = try await read(bench.test.repository).records
        #expect(stored.map(\.outcome) == [.ok, .partial, .failed, .failed, .failed])
        #expect(stored[0].id == bundle && stored[0].rawBytes == 7 && stored[0].failure == nil)
        #expect(
            stored.map { $0.failure?.code }
                == [nil, "source.failed", "storage.unreachable", "interrupted", "integrity.damaged"])
        #expect(try bench.history.runs(.backup, newest: 10).count == 4)
        #expect(try bench.history.runs(nil, newest: 2).map(\.kind) == [.backup, .validate])
        #expect(
            bench.listener.told.withLock { $0 } == [
                "began", "ok - after 0", "began", "partial source.failed after 1", "began",
                "failed storage.unreachable after 2", "began", "failed interrupted after 3", "began",
                "failed integrity.damaged after 4",
            ])
    }

    @Test("a run that was killed is recorded as dead when the next one begins")
    func died() async throws {
        let bench = try await Bench()
        try bench.history.begin(record(0))
        try await bench.run(record(100)) { RunFindings() }
        #expect(try bench.history.runs(.backup, newest: 10).map(\.outcome) == [.died, .ok])
        #expect(try bench.history.begun() == nil)
        #expect(try await read(bench.test.repository).records.map(\.outcome) == [.died, .ok])
    }

    @Test("the history keeps the newest five hundred, and whatever no repository has yet")
    func limit() async throws {
        let bench = try await Bench()
        for index in 0..<503 {
            let record = record(Int64(index) * 100)
            try bench.history.keep(record)
            if index != 1 { try bench.history.setStored([record.id]) }
        }
        let kept = try bench.history.runs(nil, newest: 1000)
        #expect(kept.count == 501 && kept[0].started.seconds == Self.zero + 100)
        #expect(try bench.history.pending().count == 1)
        // A damaged one is left out.
        let name = RunRecord.fileName(kept[5].id, kept[5].kind)
        try Data("{".utf8).write(to: URL(fileURLWithPath: bench.test.directory("state/runs/nightly/\(name)")))
        #expect(try bench.history.runs(nil, newest: 1000).count == 500)
    }
}
