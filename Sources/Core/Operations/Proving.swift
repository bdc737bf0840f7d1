// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Proves a bundle, looks at what is recorded of it already, and leaves a record of its own.
public struct Proving: Sendable {
    let repository: any BundleRepository
    let clock: any WallClock
    let progress: any ProgressListener

    public init(repository: any BundleRepository, clock: any WallClock, progress: any ProgressListener) {
        self.repository = repository
        self.clock = clock
        self.progress = progress
    }

    /// What to prove.
    public struct Request: Sendable {
        public var plan: Plan
        public var level: ProofLevel
        /// Whether the result is recorded in the repository.
        public var records: Bool
        public var host: String
        public var tool: String

        public init(plan: Plan, level: ProofLevel, records: Bool, host: String, tool: String) {
            self.plan = plan
            self.level = level
            self.records = records
            self.host = host
            self.tool = tool
        }
    }

    /// - Returns: the report; that nothing could be recorded is part of it and never an error, since the proof stands
    ///   without its record.
    public func run(_ id: BundleID, _ request: Request) async throws -> ValidationReport {
        let started = clock.now()
        var report = try await repository.validate(id, level: request.level, progress: progress)
        guard let manifest = report.manifest else {
            if request.records {
                report.notRecorded = "the manifest's signature does not count, so there is nothing to vouch for"
            }
            return report
        }
        do {
            report.unbelieved = try await repository.unbelievedProofs(of: id, at: started)
            guard request.records else { return report }
            report.recorded = try await repository.record(
                ProofRecord(
                    bundle: id, manifest: manifest, level: request.level, at: started, command: "validate-backup",
                    host: request.host, tool: request.tool, problems: report.problems.count, objects: report.objects,
                    bytes: report.bytes), plan: request.plan)
        } catch let error as CancellationError {
            throw error
        } catch {
            report.notRecorded = Failure.wrapping(error).summary
        }
        return report
    }
}

extension BundleRepository {
    /// How far a bundle is proven by records whose signatures were checked, and the records met on the way that do not
    /// count.
    public func standing(
        of manifest: SignedManifest, at now: Timestamp
    ) async throws -> (standing: ProofStanding, unbelieved: [UnbelievedProof]) {
        let id = manifest.manifest.id
        var unbelieved: [UnbelievedProof] = []
        let standing = try await ProofStanding.of(try await proofClaims(of: id)) { claim in
            guard let doubt = try await doubt(claim, manifest, now) else { return true }
            unbelieved.append(doubt)
            return false
        }
        return (standing, unbelieved)
    }

    /// The records of a bundle that do not count, among its newest hundred.
    public func unbelievedProofs(of id: BundleID, at now: Timestamp) async throws -> [UnbelievedProof] {
        let manifest = try await manifest(id)
        return try await unbelieved(try await proofClaims(of: id).suffix(100), manifest, now)
    }

    /// Those of `claims` that do not count.
    func unbelieved(
        _ claims: some Sequence<ProofClaim>, _ manifest: SignedManifest, _ now: Timestamp
    ) async throws -> [UnbelievedProof] {
        var found: [UnbelievedProof] = []
        for claim in claims {
            if let doubt = try await doubt(claim, manifest, now) { found.append(doubt) }
        }
        return found
    }

    private func doubt(
        _ claim: ProofClaim, _ manifest: SignedManifest, _ now: Timestamp
    ) async throws -> UnbelievedProof? {
        do {
            _ = try await proof(claim, of: manifest, at: now)
            return nil
        } catch let failure as Failure where [.integrity, .key, .notFound].contains(failure.code.exitStatus) {
            return UnbelievedProof(bundle: manifest.manifest.id, claim: claim, failure)
        }
    }
}
