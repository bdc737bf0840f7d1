// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain

/// Records of runs, `runs/<plan>/` (docs/format.md).
extension FormatRepository: RunRecordRepository {
    public func store(_ record: RunRecord, plan: Plan) async throws -> RunRecord {
        try await sign(record, plan: plan, "Run where a trusted signing key is") { RunRecord.key($0.id, $0.kind) }
    }

    public func runRecords(
        plan: String, since: Timestamp
    ) async throws -> (records: [RunRecord], unbelieved: [(name: String, failure: Failure)]) {
        let listing = RunListing(since: since)
        try await store.list("\(RunRecord.folder)/\(plan)/") { await listing.add($0) }
        let found = await listing.found.sorted { $0.key < $1.key }
        return try await withThrowingTaskGroup(of: (Int, Result<RunRecord, Failure>).self) { group in
            var results: [Int: Result<RunRecord, Failure>] = [:]
            for (index, claim) in found.enumerated() {
                if index >= concurrency, let (done, result) = try await group.next() { results[done] = result }
                group.addTask { (index, try await believed(claim, plan)) }
            }
            for try await (done, result) in group { results[done] = result }
            var records: [RunRecord] = []
            var unbelieved: [(name: String, failure: Failure)] = []
            for (index, claim) in found.enumerated() {
                switch results[index] {
                case .success(let record): records.append(record)
                case .failure(let failure): unbelieved.append((claim.key, failure))
                case nil: break
                }
            }
            return (records, unbelieved)
        }
    }

    public func lastBackup(plan: String, at now: Timestamp) async throws -> RunRecord? {
        let listing = RunListing(since: Timestamp(seconds: 0))
        try await store.list("\(RunRecord.folder)/\(plan)/") { await listing.add($0) }
        // A host whose clock is ahead says nothing about the present.
        let latest = Timestamp(seconds: now.seconds + 300)
        let newest = await listing.found.filter { $0.kind == .backup && $0.id.started <= latest }
            .sorted { ($0.id.started, $0.key) > ($1.id.started, $1.key) }
        // Runs of some sources only come between the nights, not by the hundred.
        for claim in newest.prefix(100) {
            guard case .success(let record) = try await believed(claim, plan), record.isWhole else { continue }
            return record
        }
        return nil
    }

    public func drillRecords(plan: String, since: Timestamp, at now: Timestamp) async throws -> [RunRecord] {
        let latest = Timestamp(seconds: now.seconds + 300)
        let listing = RunListing(since: since)
        var folders: [String] = []
        // Every month has a day that is so many days after another.
        for seconds in stride(from: since.seconds, to: latest.seconds + 28 * 86_400, by: 28 * 86_400) {
            let moment = Timestamp(seconds: min(seconds, latest.seconds))
            let key = RunRecord.key(BundleID(plan: plan, started: moment, suffix: "aaaa"), .drill)
            let folder = String(key[...(key.lastIndex(of: "/") ?? key.startIndex)])
            if folders.last != folder { folders.append(folder) }
        }
        for folder in folders { try await store.list(folder) { await listing.add($0) } }
        let newest = await listing.found.filter { $0.kind == .drill && $0.id.started <= latest }
            .sorted { ($0.id.started, $0.key) > ($1.id.started, $1.key) }
        var records: [RunRecord] = []
        for claim in newest.prefix(20) {
            guard case .success(let record) = try await believed(claim, plan) else { continue }
            records.append(record)
            // What failed before that was made good by it.
            if record.outcome == .ok, record.isWhole { break }
        }
        return records.reversed()
    }

    /// Records that one prune removes at most.
    private static let mostForgotten = 1000

    public func removeRunRecords(
        plan: String, before moment: Timestamp
    ) async throws -> (removed: Int, rest: StoreRemoval) {
        let listing = RunListing(since: Timestamp(seconds: 0))
        try await store.list("\(RunRecord.folder)/\(plan)/") { await listing.add($0) }
        let found = await listing.found.sorted { $0.id.started < $1.id.started }
        var newest: [RunRecord.Kind: BundleID] = [:]
        for claim in found { newest[claim.kind] = claim.id }
        // Locks end by the store's clock, whatever moment is asked about.
        let now = SystemClock().now()
        var old: [RunListing.Claim] = []
        for claim in found where claim.id.started < moment && newest[claim.kind] != claim.id {
            // As with bundles: a locked one would only be hidden. A few nights' worth at a time, after the first.
            guard old.count < Self.mostForgotten else { break }
            if try await store.retention(of: claim.key)?.isLocked(at: now) == true { continue }
            old.append(claim)
        }
        // The record first: a signature alone claims nothing.
        let records = try await removeAll(old.map(\.key))
        let signatures = try await removeAll(old.map { $0.key + ".sig" })
        let rest = StoreRemoval(
            left: records.left + signatures.left, failure: records.failure ?? signatures.failure,
            lock: records.lock ?? signatures.lock)
        return (old.count - records.left, rest)
    }

    /// A record that does not count is an answer; a store that cannot be reached is not.
    private func believed(_ claim: RunListing.Claim, _ plan: String) async throws -> Result<RunRecord, Failure> {
        do {
            let record = try await signedRecord(
                RunRecord.self, at: claim.key, "run record '\(claim.key)'", "Find out who wrote it.")
            guard record.id == claim.id, record.kind == claim.kind, record.plan == plan,
                record.repository == (try await descriptor().id)
            else { throw Failure(.signatureInvalid, "run record '\(claim.key)' is about another run or repository") }
            return .success(record)
        } catch let failure as Failure where [.integrity, .key].contains(failure.code.exitStatus) {
            return .failure(failure)
        }
    }
}

/// Run records in a listing.
private actor RunListing {
    struct Claim {
        var key: String
        var id: BundleID
        var kind: RunRecord.Kind
    }

    private let since: Timestamp
    var found: [Claim] = []

    init(since: Timestamp) { self.since = since }

    func add(_ page: [StoredObject]) {
        for object in page {
            // runs/<plan>/<year>/<month>/<id>.<kind>.json
            guard let name = object.key.split(separator: "/").last, object.size <= BundleLayout.runLimit,
                let (id, kind) = RunRecord.parse(fileName: String(name)), id.started >= since,
                object.key == RunRecord.key(id, kind)
            else { continue }
            found.append(Claim(key: object.key, id: id, kind: kind))
        }
    }
}
