// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// `salvor.json`: what a repository is.
public struct RepositoryDescriptor: Codable, Sendable, Equatable {
    public var format: Int
    /// Random, made at `init`; manifests name it.
    public var id: String
    public var created: Timestamp
    /// Fingerprints of the recipients' keys at `init`.
    public var recipients: [String]
    /// Fingerprints of the keys whose signatures count.
    public var signers: [String]
    /// What the store was found to guarantee; nil: not probed.
    public var probe: ProbeResult?

    public init(
        format: Int = currentFormat, id: String, created: Timestamp, recipients: [String], signers: [String],
        probe: ProbeResult?
    ) {
        self.format = format
        self.id = id
        self.created = created
        self.recipients = recipients
        self.signers = signers
        self.probe = probe
    }
}

/// A manifest whose signature was checked.
public struct SignedManifest: Sendable, Equatable {
    public var manifest: Manifest
    /// SHA-256 of `manifest.json`.
    public var sha256: SHA256Digest

    public init(manifest: Manifest, sha256: SHA256Digest) {
        self.manifest = manifest
        self.sha256 = sha256
    }
}

/// What a run of a plan is called and marked with.
public struct BundleRun: Sendable {
    public var id: BundleID
    public var host: String
    public var tool: String
    public var tags: [String]
    public var comment: String
    /// Store every stream as a full.
    public var forcesFull: Bool
    /// For a bundle that is taken back from an export: where it came from. It is made beside the plan's nights, so neither
    /// the local bases nor the note of the last committed bundle learn of it.
    public var origin: Manifest.Origin?

    public init(
        id: BundleID, host: String, tool: String, tags: [String], comment: String, forcesFull: Bool,
        origin: Manifest.Origin? = nil
    ) {
        self.id = id
        self.host = host
        self.tool = tool
        self.tags = tags
        self.comment = comment
        self.forcesFull = forcesFull
        self.origin = origin
    }
}

/// How one source's capture ended.
public struct SourceOutcome: Sendable {
    public var source: SourceSettings
    public var started: Timestamp
    public var finished: Timestamp
    public var result: Result<CaptureReport, Failure>
    /// How often it was tried.
    public var attempts: Int
    /// Between which moments its copy was fixed and at which position, when it was frozen with others.
    public var frozen: ClockInterval?
    public var position: String?

    /// Whether the source's streams are whole.
    public var isCaptured: Bool {
        if case .success = result { true } else { false }
    }

    public init(
        source: SourceSettings, started: Timestamp, finished: Timestamp, result: Result<CaptureReport, Failure>,
        attempts: Int = 1, frozen: ClockInterval? = nil, position: String? = nil
    ) {
        self.source = source
        self.started = started
        self.finished = finished
        self.result = result
        self.attempts = attempts
        self.frozen = frozen
        self.position = position
    }
}

/// What validating one bundle found.
public struct ValidationReport: Sendable, Codable, Equatable {
    public var bundle: BundleID
    public var level: ProofLevel
    public var objects: Int
    public var bytes: UInt64
    /// Everything that is wrong, object by object; empty: proven.
    public var problems: [Problem]
    /// SHA-256 of the manifest; nil when its signature does not count.
    public var manifest: SHA256Digest?
    /// What was recorded of this validation in the repository.
    public var recorded: ProofRecord?
    /// Why nothing was recorded; nil when something was, or nobody asked for it.
    public var notRecorded: String?
    /// Earlier records of the bundle that do not count.
    public var unbelieved: [UnbelievedProof]

    /// One thing that is wrong.
    public struct Problem: Sendable, Codable, Equatable {
        /// The object's key.
        public var object: String
        public var code: String
        public var summary: String

        public init(object: String, _ failure: Failure) {
            self.object = object
            code = failure.code.text
            summary = failure.summary
        }
    }

    public init(
        bundle: BundleID, level: ProofLevel, objects: Int, bytes: UInt64, problems: [Problem],
        manifest: SHA256Digest? = nil
    ) {
        self.bundle = bundle
        self.level = level
        self.objects = objects
        self.bytes = bytes
        self.problems = problems
        self.manifest = manifest
        unbelieved = []
    }

    /// Whether everything asked for was proven.
    public var isProven: Bool { problems.isEmpty }
}

/// One bundle as a listing sees it: a hint, not proof.
public struct BundleSummary: Sendable {
    public var id: BundleID
    /// The manifest, its signature not checked, or why it cannot be read.
    public var manifest: Result<Manifest, Failure>
    /// What the names of its proof records claim, oldest first.
    public var claims: [ProofClaim]

    public init(id: BundleID, manifest: Result<Manifest, Failure>, claims: [ProofClaim]) {
        self.id = id
        self.manifest = manifest
        self.claims = claims
    }
}

/// The repository as the operations see it.
public protocol BundleRepository: Sendable {
    /// For people, without secrets.
    var location: String { get }

    /// Makes the repository: probe, keys, recovery texts, descriptor.
    ///
    /// - Throws: `Failure(.conflict)` when there is one already.
    func initialize(plan: Plan, at now: Timestamp) async throws -> RepositoryDescriptor

    /// - Throws: `Failure(.repositoryNotFound)`, `Failure(.formatTooNew)`.
    func descriptor() async throws -> RepositoryDescriptor

    /// Ids of all committed bundles, of one plan or of all, oldest first.
    func bundles(plan: String?) async throws -> [BundleID]

    /// The manifest, its signature checked against a key of the keyring that the repository or the plan trusts.
    func manifest(_ id: BundleID) async throws -> SignedManifest

    /// The bytes of a manifest and of its detached signature, once that was checked as by `manifest`.
    func signedManifest(_ id: BundleID) async throws -> (manifest: [UInt8], signature: [UInt8])

    /// Manifests for listings, oldest first, their signatures not checked: a listing is a hint, `manifest` is proof. A
    /// manifest that cannot be read is given with its failure.
    func summaries(plan: String?) async throws -> [BundleSummary]

    /// What the names of the proof records of a plan's bundles claim, or of all, oldest first; from one listing.
    func proofClaims(plan: String?) async throws -> [BundleID: [ProofClaim]]

    /// What the names of one bundle's proof records claim, oldest first.
    func proofClaims(of id: BundleID) async throws -> [ProofClaim]

    /// The record behind a claim, if it counts: signed by a key that is trusted, about this very manifest, saying what its
    /// name says, and not from the future.
    ///
    /// - Throws: `Failure(.signatureInvalid)`, `Failure(.integrity)` or a key's failure when it is not to be believed.
    func proof(_ claim: ProofClaim, of manifest: SignedManifest, at now: Timestamp) async throws -> ProofRecord

    /// The records of the plan's newest drills, of any host, that began from `since` to `now`, oldest first: back to one of
    /// the whole plan that succeeded. Records that do not count are left out.
    func drillRecords(plan: String, since: Timestamp, at now: Timestamp) async throws -> [RunRecord]

    /// Signs a record with the host's key and stores it beside its bundle.
    ///
    /// - Returns: the record as stored.
    /// - Throws: when there is no signing key that this repository trusts, or the store refuses.
    func record(_ proof: ProofRecord, plan: Plan) async throws -> ProofRecord

    /// The last bundle of a plan that this host committed, as far as it remembers: what a store that was rolled back
    /// cannot make it forget.
    func lastCommitted(plan: String) async throws -> BundleID?

    /// Starts a bundle; nothing is visible until it is committed.
    func begin(_ run: BundleRun, plan: Plan, progress: any ProgressListener) async throws -> any BundleWriter

    /// Opens a bundle for reading: needs a decryption key.
    func open(_ id: BundleID) async throws -> any OpenedBundle

    /// Proves a bundle to `level`, reporting every problem rather than stopping at the first.
    func validate(_ id: BundleID, level: ProofLevel, progress: any ProgressListener) async throws -> ValidationReport

    /// Everything about keys that would make a backup fail: recipients and signer usable, expiry near, and whether this
    /// host could decrypt.
    func keyChecks(plan: Plan, at now: Timestamp) async -> [Check]

    /// When the plan's recipients' and the host's signing key end, as far as they are in the keyring.
    func keyExpiries(plan: Plan) async -> [KeyExpiry]

    /// As the store tells: its clock, and the bytes that can still be written.
    func storeFacts() async throws -> (time: Timestamp?, room: UInt64?)

    /// Whether the credentials at hand may delete objects, found out by deleting one that is not there: nothing of the
    /// repository is touched, though a store that keeps versions may note that something was deleted.
    func canDelete() async throws -> Bool

    /// Whether the store locks objects; nil: it knows no such thing.
    func bucketLock() async throws -> BucketLock?

    /// Stored size of a bundle's objects by key, for `show`.
    func segmentTable(_ id: BundleID) async throws -> SegmentTable
}

/// A bundle being made.
public protocol BundleWriter: Sendable {
    /// Where the capture of `source` delivers.
    func sink(for source: String) -> any CaptureSink

    /// Forgets what a failed attempt at `source` delivered, so that none of it gets into the bundle beside what the next one
    /// delivers, and removes it from the store as far as that allows. No capture of the source may be under way.
    func discard(_ source: String) async

    /// Writes tables, signature and manifest: the commit. At least one source must have succeeded.
    ///
    /// - Parameter group: how the sources relate, when they were frozen together.
    func commit(_ outcomes: [SourceOutcome], group: RecoveryGroup?, finished: Timestamp) async throws -> Manifest

    /// Drops what was stored, as far as the store allows.
    func abandon() async
}

extension BundleWriter {
    /// Commits sources that are each of a moment of their own.
    public func commit(_ outcomes: [SourceOutcome], finished: Timestamp) async throws -> Manifest {
        try await commit(outcomes, group: nil, finished: finished)
    }
}

/// A bundle whose contents were decrypted, as far as the keys here open them.
public protocol OpenedBundle: Sendable {
    var manifest: Manifest { get }
    /// Of the sources that could be opened.
    var contents: Contents { get }
    /// Sources with recipients whose keys are not here, each with what tells so.
    var sealed: [String: Failure] { get }
    /// The streams of one source.
    ///
    /// - Throws: what `sealed` has of it.
    func streams(of source: String) async throws -> [any StoredStream]
}

extension OpenedBundle {
    /// One source's part of the contents.
    ///
    /// - Throws: what `sealed` has of it; `Failure(.integrity)` when it is not described.
    public func part(of source: String) throws -> Contents.Source {
        if let failure = sealed[source] { throw failure }
        guard let part = contents.source(source) else {
            throw Failure(.integrity, "the contents of \(manifest.id) do not describe source '\(source)'")
        }
        return part
    }
}
