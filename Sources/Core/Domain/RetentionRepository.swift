// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// What one listing of a plan's bundles shows.
public struct BundleInventory: Sendable {
    /// Bundles with a manifest, oldest first.
    public var committed: [BundleID]
    /// What dead, or running, runs and unfinished removals left: folders without a manifest, oldest first.
    public var uncommitted: [BundleID]
    /// What the names of the proof records claim.
    public var claims: [BundleID: [ProofClaim]]

    public init(committed: [BundleID], uncommitted: [BundleID], claims: [BundleID: [ProofClaim]]) {
        self.committed = committed
        self.uncommitted = uncommitted
        self.claims = claims
    }
}

/// What retention needs of a repository, beside what everybody does.
public protocol RetentionRepository: BundleRepository {
    /// Everything below the plan's folder.
    func inventory(plan: String) async throws -> BundleInventory

    /// The names of all retention records of a plan's bundles, those of removed ones included.
    func retentionClaims(plan: String) async throws -> [BundleID: [RetentionClaim]]

    /// The names of the retention records of one bundle.
    func retentionClaims(of id: BundleID) async throws -> [RetentionClaim]

    /// The record behind a claim, if it counts: signed by a key that is trusted, about this bundle, saying what its name
    /// says.
    ///
    /// - Throws: `Failure(.signatureInvalid)`, `Failure(.integrity)` or a key's failure when it is not to be believed.
    func retentionRecord(_ claim: RetentionClaim, of id: BundleID) async throws -> RetentionRecord

    /// Signs a record with the host's key and stores it.
    ///
    /// - Returns: the record as stored.
    func record(_ record: RetentionRecord, plan: Plan) async throws -> RetentionRecord

    /// SHA-256 of a bundle's `manifest.json` as it is, nothing checked; nil when there is none.
    func manifestDigest(_ id: BundleID) async throws -> SHA256Digest?

    /// Removes a bundle: its manifest first, so that it is gone or whole at any moment, then the rest.
    ///
    /// - Throws: when the manifest could not be removed; the bundle is as it was then.
    func remove(_ id: BundleID) async throws -> StoreRemoval

    /// What keeps a bundle's manifest, the last of its objects, from being deleted; nil: nothing does, or nobody tells.
    func retention(of id: BundleID) async throws -> ObjectRetention?

    /// Removes what lies below a bundle's folder if there is no manifest.
    ///
    /// - Returns: nil when there is a manifest after all.
    func removeUncommitted(_ id: BundleID) async throws -> StoreRemoval?

    /// The newest record, of any host, of a backup of the whole plan that began by `now`; nil: there is none that counts.
    func lastBackup(plan: String, at now: Timestamp) async throws -> RunRecord?

    /// Removes the records of runs that began before `moment`, but the newest of each kind.
    ///
    /// - Returns: how many went, and what is left of them.
    func removeRunRecords(plan: String, before moment: Timestamp) async throws -> (removed: Int, rest: StoreRemoval)

    /// Fingerprints of the plan's and its sources' recipients today, whether or not their keys have expired.
    func recipients(of plan: Plan) async throws -> Set<String>
}

extension RetentionRepository {
    /// What the records of a bundle amount to. A claim that protects it counts unproven; one that does not must be
    /// signed, about this very manifest, and not from the future.
    ///
    /// - Parameter manifest: SHA-256 of the bundle's manifest; nil: any, for a bundle that is gone.
    public func retentionStanding(
        _ claims: [RetentionClaim], of id: BundleID, manifest: SHA256Digest?, at now: Timestamp
    ) async throws -> RetentionStanding {
        var standing = RetentionStanding()
        for track in RetentionRecord.Track.allCases {
            for claim in RetentionClaim.newestFirst(claims, track) {
                var record: RetentionRecord?
                do {
                    let found = try await retentionRecord(claim, of: id)
                    guard found.manifest == manifest ?? found.manifest else {
                        throw Failure(.signatureInvalid, "'\(claim.name)' is about another manifest of \(id)")
                    }
                    guard claim.at.seconds(since: now) <= 300 || claim.protects else {
                        throw Failure(.integrity, "'\(claim.name)' of \(id) is from the future")
                    }
                    record = found
                } catch let failure as Failure
                    where [.integrity, .key, .notFound].contains(failure.code.exitStatus)
                {
                    standing.unbelieved.append(failure.summary)
                    guard claim.protects else { continue }
                }
                switch claim.kind {
                case .hold: standing.hold = record?.reason ?? "by a record that does not count"
                case .expired, .deleted: standing.mark = record
                case .release, .kept: break
                }
                break
            }
        }
        return standing
    }
}

/// What a host remembers between runs, so that a store that hides something is noticed.
public protocol RetentionMemory: Sendable {
    /// The plan's bundles that were seen last; empty: nothing is known.
    func knownBundles() throws -> [BundleID]
    /// Notes the plan's bundles.
    func setKnownBundles(_ bundles: [BundleID]) throws
    /// How the last backup of the whole plan on this host ended; nil: nothing is known.
    func lastRun() throws -> LastRun?
}

/// How a backup of a whole plan ended.
public struct LastRun: Sendable, Equatable {
    public var started: Timestamp
    /// How it failed, for people; nil: it did not.
    public var failure: String?

    public init(started: Timestamp, failure: String?) {
        self.started = started
        self.failure = failure
    }

    /// What a record of the repository says.
    public init(_ record: RunRecord) {
        started = record.started
        failure =
            record.outcome == .ok
            ? nil
            : "the last run, on host '\(record.host)', failed at \(record.finished) "
                + "(\(record.failure?.code ?? record.outcome.rawValue))"
    }
}
