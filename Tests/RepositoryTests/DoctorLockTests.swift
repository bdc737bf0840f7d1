// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import LocalState
import Operations
import Repository
import TestSupport
import Testing

/// What doctor says of object lock against the policy, and of a host that could delete all the same.
@Suite("Doctor: object lock")
struct DoctorLockTests {
    private struct NoSecrets: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String {
            throw Failure(.secretUnavailable, "there are none")
        }
    }

    /// A store that lets nobody delete, or cannot be asked.
    private struct RefusingStore: Store {
        let base: any Store
        let refusal: Failure?

        var location: String { base.location }
        func get(_ key: String, range: Range<UInt64>?) async throws -> [UInt8] {
            try await base.get(key, range: range)
        }
        func size(of key: String) async throws -> UInt64? { try await base.size(of: key) }
        func list(_ prefix: String, _ page: @Sendable ([StoredObject]) async throws -> Void) async throws {
            try await base.list(prefix, page)
        }
        func folders(under prefix: String) async throws -> [String] { try await base.folders(under: prefix) }
        func put(_ key: String, _ body: [UInt8], sha256: SHA256Digest, condition: PutCondition) async throws {
            try await base.put(key, body, sha256: sha256, condition: condition)
        }
        func delete(_ key: String) async throws {
            if let refusal { throw refusal }
            try await base.delete(key)
        }
    }

    private func checks(
        days: Int?, _ policy: RetentionPolicy?, localBase: Bool = true, refusal: Failure? = nil
    ) async throws -> [String: Check] {
        let test = try await TestRepository.make()
        var plan = test.plan
        plan.repository.s3.objectLock = days.map { ("compliance", $0) }
        plan.policy = policy
        plan.keepsLocalBase = localBase
        let clock = SystemClock()
        let registry = AdapterRegistry([], secrets: NoSecrets(), clock: clock) { _ in preconditionFailure("no source") }
        let store = RefusingStore(base: test.store, refusal: refusal)
        let repository = TestRepository.reader(store, StateDirectory(test.directory("state")), test.pair)
        let before = try await test.store.list("").map(\.key)
        let sections = await Doctor(registry: registry, clock: clock).run(plan, repository)
        #expect(try await test.store.list("").map(\.key) == before, "doctor changed something")
        let found = try #require(sections.first).checks.filter { $0.name != "reachable" }
        return Dictionary(found.map { ($0.name, $0) }) { first, _ in first }
    }

    private func daily(_ days: Int) -> RetentionPolicy {
        RetentionPolicy(
            rules: RetentionRules([RetentionRule(.daily, .count(days)), RetentionRule(.yearly, .count(7))]))
    }

    @Test(
        "a lock longer than the policy keeps bundles is a warning, a shorter one is fine; without a lock nothing is said"
    )
    func policy() async throws {
        var lock = try #require(try await checks(days: 35, daily(7))["object lock"])
        #expect(lock.state == .warning && lock.detail.contains("35 days") && lock.detail.contains("after 7"))
        #expect(lock.remedy?.contains("object-lock.days") == true)
        lock = try #require(try await checks(days: 35, daily(40))["object lock"])
        #expect(lock.state == .ok && lock.detail.contains("35 of the 40 days"), "\(lock)")
        lock = try #require(try await checks(days: 35, nil)["object lock"])
        #expect(lock.state == .ok)
        let within = RetentionPolicy(rules: RetentionRules([RetentionRule(.monthly, .count(12))], within: 86_400 * 3))
        lock = try #require(try await checks(days: 35, within)["object lock"])
        #expect(lock.state == .ok && lock.detail.contains("360 days"), "\(lock)")
        #expect(try await checks(days: nil, daily(7))["object lock"] == nil)
    }

    @Test(
        "a base may be unlocked while deltas need it, unless the lock is longer than bases are used, or there are none")
    func bases() async throws {
        #expect(try await checks(days: 30, nil)["object lock of bases"]?.state == .warning)
        let long = try #require(try await checks(days: 44, nil)["object lock of bases"])
        #expect(long.state == .ok && long.detail.contains("at least 14 days"), "\(long)")
        #expect(try await checks(days: 30, nil, localBase: false)["object lock of bases"] == nil)
    }

    @Test("credentials that may delete where objects are locked are a warning; refused is as it should be")
    func deletion() async throws {
        #expect(try await checks(days: 35, nil)["deletion"]?.state == .warning)
        let refused = try await checks(days: 35, nil, refusal: Failure(.storageDenied, "access denied"))
        #expect(refused["deletion"]?.state == .ok)
        let unknown = try await checks(days: 35, nil, refusal: Failure(.storageUnreachable, "no answer"))
        #expect(unknown["deletion"]?.state == .warning && unknown["deletion"]?.detail.contains("no answer") == true)
        #expect(try await checks(days: nil, nil)["deletion"] == nil)
    }
}
