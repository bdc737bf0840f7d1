// SPDX-License-Identifier: Apache-2.0
import Domain

/// What a repository holds of one plan: everything that is read for its status, in one go.
struct Holdings: Sendable {
    var location: String
    var summaries: [BundleSummary]
    /// The last bundle this host committed, as far as it remembers.
    var lastCommitted: BundleID?
    var freeBytes: UInt64?
    var keys: [KeyExpiry]
    /// Of the bundles asked about, by records whose signatures were checked.
    var standings: [BundleID: ProofStanding] = [:]
    var lastProofs: [Status.LastProof] = []
    /// Newest last.
    var drills: [RunRecord] = []
    /// What was wrong on the way.
    var problems: [String] = []

    /// Manifests that could be read, oldest first, signatures not checked.
    var manifests: [Manifest] {
        summaries.compactMap { summary -> Manifest? in
            if case .success(let manifest) = summary.manifest { manifest } else { nil }
        }
    }

    static func read(_ plan: Plan, _ repository: any BundleRepository, at now: Timestamp) async throws -> Holdings {
        _ = try await repository.descriptor()
        var holdings = Holdings(
            location: repository.location, summaries: try await repository.summaries(plan: plan.name),
            keys: await repository.keyExpiries(plan: plan))
        await holdings.noting { $0.lastCommitted = try await repository.lastCommitted(plan: plan.name) }
        await holdings.noting { $0.freeBytes = try await repository.storeFacts().room }
        let manifests = holdings.manifests
        let good = manifests.last { $0.state == .complete }?.id
        // Usually one bundle: what the newest complete one has not is in few others.
        let asked = Set([good] + plan.sources.map { SizeHistory.source($0.name, manifests)?.bundle }).compactMap { $0 }
        for id in asked.sorted() {
            await holdings.noting {
                $0.standings[id] = try await repository.standing(of: try await repository.manifest(id), at: now)
                    .standing
            }
        }
        await holdings.noting { $0.lastProofs = try await lastProofs($0.summaries, repository, at: now) }
        await holdings.noting {
            $0.drills = try await repository.drillRecords(
                plan: plan.name, since: Timestamp(seconds: now.seconds - drillReach(plan)), at: now)
        }
        return holdings
    }

    /// Seconds within which drills are looked for: two of them, or two months.
    private static func drillReach(_ plan: Plan) -> Int64 {
        let (months, year) = (62 * 86_400, 400 * 86_400)
        return Int64(min(year, max(months, 2 * min(year, plan.objectives.drillEvery ?? 0))))
    }

    /// So many claims of each level are looked at; more are there that do not count only when somebody means harm.
    private static let tries = 4

    private static func lastProofs(
        _ summaries: [BundleSummary], _ repository: any BundleRepository, at now: Timestamp
    ) async throws -> [Status.LastProof] {
        let claims = summaries.flatMap { summary in summary.claims.map { (bundle: summary.id, claim: $0) } }
            .filter { $0.claim.isProven && $0.claim.contradiction(of: $0.bundle, at: now) == nil }
            .sorted { ($0.claim.at, $0.claim.name) > ($1.claim.at, $1.claim.name) }
        var believed: [ProofClaim: Bool] = [:]
        var found: [Status.LastProof] = []
        for level in ProofLevel.allCases {
            for (bundle, claim) in claims.filter({ $0.claim.level >= level }).prefix(tries) {
                if believed[claim] == nil { believed[claim] = try await believes(claim, bundle, repository, now) }
                guard believed[claim] == true else { continue }
                found.append(Status.LastProof(level: level, at: claim.at, bundle: bundle))
                break
            }
        }
        return found
    }

    private static func believes(
        _ claim: ProofClaim, _ bundle: BundleID, _ repository: any BundleRepository, _ now: Timestamp
    ) async throws -> Bool {
        do {
            _ = try await repository.proof(claim, of: try await repository.manifest(bundle), at: now)
            return true
        } catch let failure as Failure where [.integrity, .key, .notFound].contains(failure.code.exitStatus) {
            return false
        }
    }

    /// Does `body`; what it throws is a problem and hinders nothing else.
    private mutating func noting(_ body: (inout Holdings) async throws -> Void) async {
        do { try await body(&self) } catch { problems.append(Failure.wrapping(error).summary) }
    }
}
