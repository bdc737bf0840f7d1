// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Retention

/// What an operator says of one bundle: hold it, let it go, delete it, keep it after all.
public struct RetentionMarks: Sendable {
    let repository: any RetentionRepository
    let clock: any WallClock

    public init(repository: any RetentionRepository, clock: any WallClock) {
        self.repository = repository
        self.clock = clock
    }

    /// Who says it, and why.
    public struct Request: Sendable {
        public var plan: Plan
        public var reason: String
        public var host: String
        public var tool: String

        public init(plan: Plan, reason: String, host: String, tool: String) {
            self.plan = plan
            self.reason = reason
            self.host = host
            self.tool = tool
        }
    }

    /// Protects a bundle from every removal until it is released.
    public func hold(_ id: BundleID, _ request: Request) async throws -> RetentionRecord {
        let (digest, _, newest) = try await look(id)
        return try await write(.hold, id, digest, after: newest, request)
    }

    /// Ends a hold.
    ///
    /// - Throws: `Failure(.nothingSelected)` when nothing holds the bundle.
    public func release(_ id: BundleID, _ request: Request) async throws -> RetentionRecord {
        let (digest, standing, newest) = try await look(id)
        guard standing.hold != nil else {
            throw Failure(.nothingSelected, "nobody holds \(id)", hint: "'salvor prune' shows what is held and why.")
        }
        return try await write(.release, id, digest, after: newest, request)
    }

    /// Marks a bundle for removal by the next prune after the grace time.
    ///
    /// - Throws: `Failure(.bundleHeld)`; `Failure(.pruneRefused)` when others refer to it or too few good ones would stay.
    public func delete(_ id: BundleID, _ request: Request) async throws -> RetentionRecord {
        let (digest, standing, newest) = try await look(id)
        if let hold = standing.hold {
            throw Failure(.bundleHeld, "\(id) is held: \(hold)", hint: "If it may go: salvor release \(id)")
        }
        if let mark = standing.mark, mark.kind == .deleted { return mark }
        let snapshot = try await RetentionSnapshot.load(request.plan, from: repository, at: clock.now())
        let users = snapshot.bundles.filter { $0.bases.contains(id) && $0.deletion == nil }
        if let user = users.last {
            throw Failure(
                .pruneRefused, "\(users.count) bundles refer to \(id), such as \(user.id)",
                hint: "Delete those first, or let the policy do it.")
        }
        try checkFloor(id, snapshot, request.plan)
        return try await write(.deleted, id, digest, after: newest, request)
    }

    /// Takes a mark back, an operator's or a policy's.
    ///
    /// - Throws: `Failure(.bundleNotFound)` when it is gone already, `Failure(.nothingSelected)` when nothing marked it.
    public func undelete(_ id: BundleID, _ request: Request) async throws -> RetentionRecord {
        let (digest, standing, newest) = try await look(id)
        guard standing.mark != nil else { throw Failure(.nothingSelected, "\(id) is not marked for removal") }
        return try await write(.kept, id, digest, after: newest, request)
    }

    private func look(_ id: BundleID) async throws -> (SHA256Digest, RetentionStanding, Timestamp?) {
        guard let digest = try await repository.manifestDigest(id) else {
            throw Failure(
                .bundleNotFound, "there is no bundle \(id) in \(repository.location)",
                hint: "List them with 'salvor list-backups'.")
        }
        let claims = try await repository.retentionClaims(of: id)
        let standing = try await repository.retentionStanding(claims, of: id, manifest: digest, at: clock.now())
        // Records that do not count must not outweigh what is said now.
        return (digest, standing, claims.map(\.at).filter { $0.seconds(since: clock.now()) <= 300 }.max())
    }

    private func checkFloor(_ id: BundleID, _ snapshot: RetentionSnapshot, _ plan: Plan) throws {
        let minimum = plan.policy?.minimumGood ?? 1
        // Asked for nothing but what counts as good.
        let decisions = Retention.decide(snapshot.bundles, policy: plan.policy, now: snapshot.at)
        guard decisions.contains(where: { $0.bundle == id && $0.isGood }) else { return }
        let left = decisions.filter { $0.isGood && $0.bundle != id }.count
        guard left < minimum else { return }
        throw Failure(
            .pruneRefused, "without \(id) only \(left) good bundles would stay, fewer than \(minimum)",
            hint: "Make another first; 'minimum-good' of the plan's retention is the number.")
    }

    /// Two words of one second: the second must be the later.
    private func write(
        _ kind: RetentionRecord.Kind, _ id: BundleID, _ digest: SHA256Digest, after newest: Timestamp?,
        _ request: Request
    ) async throws -> RetentionRecord {
        let now = Timestamp(seconds: clock.now().seconds)
        let at = newest.map { max(now, $0.adding(1)) } ?? now
        return try await repository.record(
            RetentionRecord(
                bundle: id, manifest: digest, kind: kind, at: at, reason: request.reason, host: request.host,
                tool: request.tool), plan: request.plan)
    }
}
