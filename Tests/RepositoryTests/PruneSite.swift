// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import LocalState
import Operations
import Repository
import Retention
import Stores
import Synchronization
import TestSupport

/// A clock that stands still.
struct FixedClock: WallClock {
    var moment: Timestamp
    func now() -> Timestamp { moment }
}

/// A repository with nights, a policy, and prunes at any moment.
struct PruneSite: Sendable {
    /// Where the objects are.
    enum Place: String, CaseIterable, Sendable {
        case directory, seaweed
    }

    let test: TestRepository
    let store: any Store
    var plan: Plan
    private static let zero: Int64 = 1_790_000_000

    /// Of a bucket: what plans say to reach it, and the variables that they refer to.
    var bucket = ""
    var environment: [String: String] = [:]

    /// - Parameter lockDays: so long the objects of a bucket are locked; nil: it locks nothing.
    static func make(
        _ place: Place = .directory, policy: RetentionPolicy = threeDays, lockDays: Int? = nil
    ) async throws -> PruneSite {
        let test = try await TestRepository.make()
        var plan = test.plan
        plan.policy = policy
        guard place == .seaweed else { return PruneSite(test: test, store: test.store, plan: plan) }
        let server = try await SeaweedFS.shared().plain
        let bucket = try server.makeBucket(objectLock: lockDays != nil)
        var settings = RepositorySettings(store: "s3://\(bucket)/prod")
        settings.s3.objectLock = lockDays.map { (mode: "governance", days: $0) }
        settings.s3.endpoint = server.url
        settings.s3.region = server.region
        settings.s3.addressing = .path
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        settings.s3.accessKey = SecretReference("env:KEY", mark: mark)
        settings.s3.secretKey = SecretReference("env:SECRET", mark: mark)
        let store = try await StoreFactory.make(
            settings, secrets: GivenSecrets(values: ["KEY": server.accessKey, "SECRET": server.secretKey]))
        let repository = TestRepository.reader(store, StateDirectory(test.directory("state")), test.pair)
        _ = try await repository.initialize(plan: plan, at: Timestamp(seconds: zero))
        return PruneSite(
            test: test, store: store, plan: plan, bucket: bucket,
            environment: ["KEY": server.accessKey, "SECRET": server.secretKey, "ENDPOINT": server.url])
    }

    /// The program, with a plan for this site's bucket.
    func salvor(retention: String, s3: String? = nil) throws -> SalvorProcess {
        try test.directory.write(
            "plan.yaml",
            """
            plan: nightly
            repository:
              store: "s3://\(bucket)/prod"
              s3:
                endpoint: "\(environment["ENDPOINT"] ?? "")"
                region: us-east-1
                addressing: path
                credentials: {access-key: env:KEY, secret-key: env:SECRET}
                \(s3 ?? "")
            encryption: {recipients: [\(test.pair.recipient)], signer: \(test.pair.signer)}
            sources: [{name: db, adapter: files, paths: [/nowhere]}]
            retention: \(retention)
            """)
        return SalvorProcess(
            environment.merging([
                "SALVOR_CONFIG": test.directory("plan.yaml"), "SALVOR_STATE_DIR": test.directory("state"),
                "GNUPGHOME": test.pair.keys.home, "NO_COLOR": "1",
            ]) { $1 })
    }

    /// Three days, two good ones at least, three days of grace.
    static let threeDays = RetentionPolicy(
        rules: RetentionRules([RetentionRule(.daily, .count(3))]), minimumGood: 2, grace: 3 * 86400)

    func repository(_ faulty: (any Store)? = nil) -> FormatRepository {
        TestRepository.reader(faulty ?? store, StateDirectory(test.directory("state")), test.pair)
    }

    func memory() async throws -> PlanMemory {
        PlanMemory(
            StateDirectory(test.directory("state")), repository: try await repository().descriptor().id,
            plan: plan.name)
    }

    static func moment(_ day: Double) -> Timestamp { Timestamp(seconds: zero + Int64(day * 86400)) }

    /// What is dumped on a day: rows, of which some change each day.
    static func dump(_ day: Int) -> [UInt8] { DumpText.rows(1200, changed: [day, day + 100]) }

    @discardableResult
    func night(
        _ day: Int, full: Bool = false, tags: [String] = [], failing: Bool = false, notes: NoteKeeper = NoteKeeper(),
        beforeCommit: () async throws -> Void = {}
    ) async throws -> BundleID {
        try await test.backUp(
            ["dump": Self.dump(day)], at: Int64(day) * 86400, full: full, store: store, notes: notes, tags: tags,
            failing: failing, beforeCommit: beforeCommit
        ).id
    }

    func prune(
        _ day: Double, apply: Bool = true, forget: Bool = false, faulty: (any Store)? = nil, plan: Plan? = nil,
        clock: (any WallClock)? = nil
    ) async throws -> PruneReport {
        try await Prune(
            repository: repository(faulty), memory: try await memory(),
            clock: clock ?? FixedClock(moment: Self.moment(day)), progress: NoProgress()
        ).run(
            Prune.Request(
                plan: plan ?? self.plan, applies: apply, forgetsMissing: forget, host: "pruner", tool: "salvor test"))
    }

    func marks(_ day: Double) -> (RetentionMarks, RetentionMarks.Request) {
        (
            RetentionMarks(repository: repository(), clock: FixedClock(moment: Self.moment(day))),
            RetentionMarks.Request(plan: plan, reason: "because", host: "pruner", tool: "salvor test")
        )
    }

    /// Keys of everything in the store.
    func keys(_ prefix: String = "") async throws -> [String] { try await store.list(prefix).map(\.key) }

    /// Whether each bundle is what was backed up on its day, and proven as far as can be.
    func problems(_ days: [BundleID: Int]) async throws -> [String] {
        var problems: [String] = []
        for (id, day) in days.sorted(by: { $0.key < $1.key }) {
            let report = try await repository().validate(id, level: .contents, progress: NoProgress())
            problems += report.problems.map { "\(id): \($0.summary)" }
            if try await test.read(id, "dump", with: repository()) != Self.dump(day) {
                problems.append("\(id) has other bytes")
            }
        }
        return problems
    }
}

/// Secrets by the names of their variables.
struct GivenSecrets: SecretResolver {
    var values: [String: String]

    func resolve(_ reference: SecretReference) async throws -> String {
        for (name, value) in values where reference.description.hasSuffix(name) { return value }
        throw Failure(.secretUnavailable, "no such secret in this test")
    }
}

extension PruneReport {
    /// Bundles in a state.
    func ids(_ state: State) -> [BundleID] { bundles.filter { $0.state == state }.map(\.decision.bundle) }

    var blockerCodes: [String] { blockers.map(\.code) }

    func reasons(_ id: BundleID) -> [String] {
        bundles.first { $0.decision.bundle == id }?.decision.reasons.map(\.code) ?? []
    }
}
