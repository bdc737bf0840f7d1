// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import LocalState
import Notifications
import Operations
import Repository
import Stores
import TestSupport
import Testing

/// The state of plans, from real repositories and remembered runs.
@Suite("Status")
struct StatusTests {
    private static let epoch: Int64 = 1_790_000_000

    private struct StoppedClock: WallClock {
        var moment: Timestamp
        func now() -> Timestamp { moment }
    }

    /// What a host remembers, without a disk.
    private struct Remembered: RunHistory {
        var records: [RunRecord] = []
        var waiting: [RunRecord] = []
        var unfinished: RunRecord?

        func runs(_ kind: RunRecord.Kind?, newest count: Int) throws -> [RunRecord] {
            Array(records.filter { kind == nil || $0.kind == kind }.suffix(count))
        }
        func begin(_ record: RunRecord) throws {}
        func begun() throws -> RunRecord? { unfinished }
        func keep(_ record: RunRecord) throws {}
        func pending() throws -> [RunRecord] { waiting }
        func setStored(_ ids: [BundleID]) throws {}
    }

    private func run(
        _ kind: RunRecord.Kind, at seconds: Int64, _ outcome: RunRecord.Outcome = .ok, bundle: BundleID? = nil,
        isWhole: Bool = true, source: String = "db"
    ) -> RunRecord {
        let id = BundleID(plan: "nightly", started: Timestamp(seconds: Self.epoch + seconds), suffix: "aaaaaa")
        var record = RunRecord(id: bundle ?? id, kind: kind, isWhole: isWhole, host: "test", tool: "t")
        record.outcome = outcome
        record.bundle = bundle
        record.finished = Timestamp(seconds: record.started.seconds + 5)
        if outcome != .ok { record.failure = RecordedFailure(code: "source.failed", message: "the disk is gone") }
        record.sources = [
            RecordedSource(
                name: source, failure: outcome == .ok ? nil : RecordedFailure(code: "x.y", message: "no"), seconds: 1,
                rawBytes: 1, storedBytes: 1)
        ]
        return record
    }

    private func plan(_ test: TestRepository, sources: [String] = ["db"], drillEvery: Int? = nil) -> Plan {
        var plan = test.plan
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        plan.sources = sources.map {
            SourceSettings(name: $0, adapter: "test", transport: .local, settings: .mapping([], mark), mark: mark)
        }
        plan.objectives = Objectives(recoveryPoint: 1000, drillEvery: drillEvery)
        return plan
    }

    private func entry(
        _ plan: Plan, at seconds: Int64, history: (any RunHistory)? = nil, limit: Duration? = nil,
        _ repository: @escaping @Sendable () async throws -> any BundleRepository
    ) async -> Status.Entry {
        let clock = StoppedClock(moment: Timestamp(seconds: Self.epoch + seconds))
        return await Status(clock: clock, limit: limit).entry(plan, history: history, repository: repository)
    }

    @Test("a young complete bundle is good; an old one, a partial one after it and a source in none are problems")
    func ages() async throws {
        let test = try await TestRepository.make()
        let repository = test.repository
        let good = try await test.backUp(["dump": DumpText.rows(100)], at: 0).id
        var entry = await entry(plan(test), at: 900) { repository }
        #expect(entry.problems.isEmpty && entry.isReachable && entry.lastGood == good && entry.ageSeconds == 900)
        #expect(entry.sources.map(\.lastGood) == [good] && entry.bundles == 1 && entry.freeBytes ?? 0 > 0)
        #expect(entry.keys.map(\.role) == [.recipient, .signer])
        #expect(entry.size?.rawBytes == UInt64(DumpText.rows(100).count) && entry.size?.usualRawBytes == nil)
        entry = await self.entry(plan(test), at: 1001) { repository }
        #expect(entry.problems == ["the newest complete bundle is older than the recovery-point objective"])
        entry = await self.entry(plan(test, sources: ["db", "new"]), at: 900) { repository }
        #expect(entry.problems == ["no bundle has new"])
        let partial = try await test.backUp(["dump": DumpText.rows(100)], at: 500, failing: true).id
        entry = await self.entry(plan(test, sources: ["db", "other"]), at: 900) { repository }
        #expect(entry.lastGood == good && entry.last == partial)
        #expect(entry.problems.contains("the newest bundle is partial, without other"))
        #expect(entry.sources.map(\.lastGood) == [partial, nil])
        #expect(entry.sources.map { $0.failure?.code } == [nil, "source.failed"])
    }

    @Test("no bundle yet is a problem, not an error, and a damaged one is named")
    func damaged() async throws {
        let test = try await TestRepository.make()
        let repository = test.repository
        var entry = await entry(plan(test), at: 0) { repository }
        #expect(entry.isReachable && entry.problems == ["no complete bundle yet"] && entry.lastGood == nil)
        let first = try await test.backUp(["dump": DumpText.rows(100)], at: 0).id
        let second = try await test.backUp(["dump": DumpText.rows(100)], at: 500).id
        let manifest = test.directory("repo/\(second.folder)/manifest.json")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: manifest))
        try Data("{".utf8).write(to: URL(fileURLWithPath: manifest))
        entry = await self.entry(plan(test), at: 900) { repository }
        #expect(entry.problems.count == 1 && entry.problems[0].contains(second.text), "\(entry.problems)")
        #expect(entry.lastGood == first)
        // Readable, but not as it was signed.
        var text = String(decoding: bytes, as: UTF8.self)
        text = text.replacing("salvor test", with: "salvor TEST")
        try Data(text.utf8).write(to: URL(fileURLWithPath: manifest))
        entry = await self.entry(plan(test), at: 900) { repository }
        #expect(entry.problems.contains { $0.contains(second.text) && $0.contains("sign") }, "\(entry.problems)")
    }

    @Test("a repository that is gone, or cannot even be opened, leaves what the host remembers")
    func unreachable() async throws {
        let test = try await TestRepository.make()
        let good = try await test.backUp(["dump": DumpText.rows(100)], at: 0).id
        let history = Remembered(records: [run(.backup, at: 0, bundle: good)], waiting: [run(.backup, at: 9)])
        let repository = test.repository
        try FileManager.default.removeItem(atPath: test.directory("repo"))
        var entry = await entry(plan(test), at: 500, history: history) { repository }
        #expect(!entry.isReachable && entry.problems.count == 1 && entry.lastGood == good && entry.ageSeconds == 500)
        #expect(entry.sources.map(\.lastGood) == [good] && entry.pendingRecords == 1 && entry.bundles == 0)
        entry = await self.entry(plan(test), at: 1500, history: history) {
            throw Failure(.secretUnavailable, "the secret is gone")
        }
        #expect(
            entry.problems == [
                "the secret is gone", "the newest complete bundle is older than the recovery-point objective",
            ])
    }

    @Test("a store that never answers is given up")
    func hanging() async throws {
        let test = try await TestRepository.make()
        let entry = await entry(plan(test), at: 0, limit: .milliseconds(200)) {
            // However it is asked to end.
            await withCheckedContinuation { (_: CheckedContinuation<Void, Never>) in }
            throw Failure(.internalError, "unreachable")
        }
        #expect(entry.problems.count == 1 && entry.problems[0].contains("did not answer"), "\(entry.problems)")
        #expect(!entry.isReachable)
    }

    @Test("how the last runs ended is told: a backup's failure and a drill's are problems, others warnings")
    func runs() async throws {
        let test = try await TestRepository.make()
        let repository = test.repository
        let good = try await test.backUp(["dump": DumpText.rows(100)], at: 0).id
        let before = run(.backup, at: 0, bundle: good)
        let plan = plan(test, drillEvery: 500)
        let cases: [([RunRecord], [String], [String])] = [
            ([before, run(.drill, at: 500)], [], []),
            (
                [before, run(.drill, at: 100)],
                ["the last drill, of \(Timestamp(seconds: Self.epoch + 105)), is longer ago than 'drill-every' allows"],
                []
            ),
            (
                [before], [],
                ["no drill is known of here or recorded in the repository, although 'drill-every' asks for one"]
            ),
            (
                [before, run(.drill, at: 500), run(.backup, at: 600, .failed)],
                ["the last run, of \(Timestamp(seconds: Self.epoch + 600)), failed: the disk is gone"], []
            ),
            (
                [before, run(.drill, at: 500), run(.backup, at: 600, .died)],
                ["the last run, of \(Timestamp(seconds: Self.epoch + 600)), died before its end: the disk is gone"], []
            ),
            // A run of some sources says nothing about the nights.
            ([before, run(.drill, at: 500), run(.backup, at: 600, .failed, isWhole: false)], [], []),
            (
                [before, run(.drill, at: 500), run(.prune, at: 600, .failed)], [],
                ["the last prune, of \(Timestamp(seconds: Self.epoch + 600)), failed: the disk is gone"]
            ),
            (
                [before, run(.drill, at: 500), run(.drill, at: 600, .failed)],
                ["the last drill, of \(Timestamp(seconds: Self.epoch + 600)), failed: the disk is gone"], []
            ),
        ]
        for (records, problems, warnings) in cases {
            let entry = await entry(plan, at: 900, history: Remembered(records: records)) { repository }
            #expect(entry.problems == problems && entry.warnings == warnings, "\(entry.problems) \(entry.warnings)")
        }
        let dead = Remembered(
            records: [before, run(.drill, at: 500)], unfinished: run(.backup, at: 700))
        let clock = StoppedClock(moment: Timestamp(seconds: Self.epoch + 900))
        for isRunning in [true, false] {
            let entry = await Status(clock: clock).entry(plan, history: dead, isRunning: isRunning) { repository }
            #expect(entry.problems.contains { $0.contains("died before its end") } != isRunning, "\(entry.problems)")
        }
        let waiting = Remembered(records: [before, run(.drill, at: 500)], waiting: [before])
        let entry = await entry(plan, at: 900, history: waiting) { repository }
        #expect(entry.warnings == ["records of runs wait on this host for the repository: 1"])
    }

    @Test("a failed drill of another host is a problem until one succeeds with what failed in it, wherever it is held")
    func drillsElsewhere() async throws {
        let test = try await TestRepository.make()
        let repository = test.repository
        try await test.backUp(["dump": DumpText.rows(100)], at: 0)
        let plan = plan(test, drillEvery: 100_000_000)
        let month: Int64 = 30 * 86_400
        func problems(at seconds: Int64, history: [RunRecord] = []) async -> [String] {
            let entry = await self.entry(plan, at: seconds, history: Remembered(records: history)) { repository }
            return entry.problems.filter { $0.contains("drill") }
        }
        func words(_ seconds: Int64) -> [String] {
            ["the last drill, of \(Timestamp(seconds: Self.epoch + seconds)), failed: the disk is gone"]
        }
        #expect(await problems(at: month) == [])
        _ = try await repository.store(run(.drill, at: month, .failed), plan: plan)
        #expect(await problems(at: month + 60) == words(month))
        // Of another source: no news about this one. Not even on the host that made it.
        let other = run(.drill, at: month + 100, isWhole: false, source: "other")
        _ = try await repository.store(other, plan: plan)
        #expect(await problems(at: month + 160) == words(month))
        #expect(await problems(at: month + 160, history: [other]) == words(month))
        // This host remembers what the repository has not yet.
        #expect(await problems(at: month + 260, history: [run(.drill, at: month + 200)]) == [])
        _ = try await repository.store(run(.drill, at: 2 * month, isWhole: false), plan: plan)
        #expect(await problems(at: 2 * month + 60) == [])
        let entry = await entry(plan, at: 2 * month + 60) { repository }
        #expect(entry.lastRun(.drill)?.outcome == .ok && entry.lastDrill != nil)
        // Somebody pressed Ctrl-C.
        var stopped = run(.drill, at: 2 * month + 80, .failed)
        stopped.failure = RecordedFailure(code: "interrupted", message: "interrupted")
        _ = try await repository.store(stopped, plan: plan)
        #expect(await problems(at: 2 * month + 160) == [])
        // A record that nobody trusted wrote says nothing.
        let forged = run(.drill, at: 2 * month + 100, .failed)
        let key = RunRecord.key(forged.id, .drill)
        let file = test.directory("repo/\(key)")
        try FileManager.default.createDirectory(
            atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try JSONEncoder().encode(forged).write(to: URL(fileURLWithPath: file))
        #expect(await problems(at: 2 * month + 160) == [])
    }

    @Test("a source twice or half its usual size is a warning, once there is a history and the size matters")
    func trend() async throws {
        let test = try await TestRepository.make()
        let repository = test.repository
        let usual = DumpText.rows(40_000)
        #expect(usual.count > 1 << 20)
        for night in 0..<3 { try await test.backUp(["dump": usual], at: Int64(night)) }
        try await test.backUp(["dump": DumpText.rows(90_000)], at: 10)
        var entry = await entry(plan(test), at: 900) { repository }
        #expect(
            entry.warnings == [
                "db has \(Notifications.Size.text(UInt64(DumpText.rows(90_000).count))), where "
                    + "\(Notifications.Size.text(UInt64(usual.count))) are usual"
            ])
        #expect(entry.sources[0].size?.usualRawBytes == UInt64(usual.count))
        #expect(entry.problems.isEmpty)
        try await test.backUp(["dump": DumpText.rows(10_000)], at: 20)
        entry = await self.entry(plan(test), at: 900) { repository }
        #expect(entry.warnings.count == 1 && (entry.size?.change ?? 0) < -0.5)
        try await test.backUp(["dump": DumpText.rows(41_000)], at: 30)
        entry = await self.entry(plan(test), at: 900) { repository }
        #expect(entry.warnings.isEmpty)
    }

    @Test("what a night changes in a tree is no size to compare with; the next full is compared with the last ones")
    func incrementals() async throws {
        let test = try await TestRepository.make()
        let repository = test.repository
        let (quiet, busy) = (DumpText.rows(10), DumpText.rows(60_000))
        for night in 0..<5 { try await test.backUp(tree: DumpText.rows(70_000), incremental: quiet, at: Int64(night)) }
        try await test.backUp(tree: [], incremental: busy, at: 10)
        let entry = await entry(plan(test, sources: ["config"]), at: 900) { repository }
        #expect(entry.sources[0].size?.rawBytes == UInt64(busy.count) && busy.count > 1 << 20)
        #expect(entry.warnings.isEmpty && entry.sources[0].size?.usualRawBytes == nil, "\(entry.warnings)")
    }

    @Test("the last proof of each level counts over all bundles, and a forged one does not")
    func proofs() async throws {
        let test = try await TestRepository.make()
        let repository = test.repository
        let first = try await test.backUp(["dump": DumpText.rows(100)], at: 0).id
        let digest = try await repository.manifest(first).sha256
        func prove(_ level: ProofLevel, at seconds: Int64) async throws {
            _ = try await repository.record(
                ProofRecord(
                    bundle: first, manifest: digest, level: level, at: Timestamp(seconds: Self.epoch + seconds),
                    command: "validate-backup", host: "h", tool: "t", problems: 0, objects: 1, bytes: 1),
                plan: test.plan)
        }
        try await prove(.contents, at: 100)
        try await prove(.checksum, at: 200)
        let second = try await test.backUp(["dump": DumpText.rows(100)], at: 300).id
        let forged = "\(Timestamp(seconds: Self.epoch + 400).compact)-contents-proven-zzzzzz"
        let genuine = try #require(
            FileManager.default.enumerator(atPath: test.directory("repo"))?.compactMap { $0 as? String }
                .first { $0.contains("-contents-proven-") })
        let folder = URL(fileURLWithPath: test.directory("repo/\(genuine)")).deletingLastPathComponent().path
        let target = folder.replacing(first.folder, with: second.folder)
        try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
        try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(target)/\(forged).json"))
        let entry = await entry(plan(test), at: 900) { repository }
        #expect(entry.lastGood == second && entry.problems.isEmpty, "\(entry.problems)")
        let found = entry.lastProofs.map { "\($0.level.rawValue) \($0.at.seconds - Self.epoch)" }
        #expect(found == ["presence 200", "checksum 200", "contents 100"])
    }
}
