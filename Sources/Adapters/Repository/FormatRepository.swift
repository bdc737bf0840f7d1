// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
public import Encryption
public import LocalState

/// A repository of format 1 in a store.
public struct FormatRepository: BundleRepository {
    let store: any Store
    let state: StateDirectory
    let keyring: Keyring
    /// Segments worked on at once.
    let concurrency: Int
    /// Raw bytes of a segment.
    let sliceSize: Int
    /// From a run's last look at what it refers to, to its manifest: beyond that it looks again.
    let commitTime: Duration
    private let probe: @Sendable (any Store, Timestamp) async throws -> ProbeResult
    /// The signer the plan names; nil: whoever the descriptor names.
    let trustedSigner: String?
    /// What the store lets this host do.
    let access: RepositoryAccess
    /// Whom those whose signatures count vouch for.
    let signerBook = SignerBook()

    /// - Parameters:
    ///   - keyring: what is known of keys, when several repositories share it; nil: that of `gnupgHome`.
    ///   - trustedSigner: fingerprint of the only key whose signatures count; nil: the descriptor's signers.
    ///   - access: with `putOnly`, what the host remembers stands for the repository.
    ///   - concurrency: segments worked on at once.
    ///   - sliceSize: raw bytes of a segment, at most 64 MiB: with the window they must fit zstd's 128 MiB.
    ///   - commitTime: from a run's last look at what it refers to, to its manifest: beyond that it looks again.
    ///   - probe: finds out what the store guarantees, at `initialize`.
    public init(
        store: any Store, state: StateDirectory, gnupgHome: String? = nil, keyring: Keyring? = nil,
        trustedSigner: String? = nil, access: RepositoryAccess = .full, concurrency: Int, sliceSize: Int = 32 << 20,
        commitTime: Duration = .seconds(RetentionTimes.look),
        probe: @escaping @Sendable (any Store, Timestamp) async throws -> ProbeResult
    ) {
        self.store = store
        self.state = state
        self.trustedSigner = trustedSigner?.uppercased()
        self.access = access
        self.concurrency = max(1, concurrency)
        self.sliceSize = sliceSize
        self.commitTime = commitTime
        self.probe = probe
        self.keyring = keyring ?? Keyring(home: gnupgHome, remembers: .seconds(10))
    }

    public var location: String { store.location }

    public func initialize(plan: Plan, at now: Timestamp) async throws -> RepositoryDescriptor {
        if try await store.size(of: BundleLayout.descriptor) != nil {
            throw Failure(
                .conflict, "there is a repository already at \(location)",
                hint: "Use it as it is; to start anew, name another store.")
        }
        let (recipients, signer, signerKey) = try await KeyFailures.translating {
            let signer = try await RunKeys.usableSigner(plan, keyring, signers: [])
            return (
                try await RunKeys.usableRecipients(plan.allRecipients, keyring), signer,
                try await keyring.publicKey(signer)
            )
        }
        let result = try await probe(store, now)
        let descriptor = RepositoryDescriptor(
            id: BundleID.randomSuffix() + BundleID.randomSuffix() + BundleID.randomSuffix(), created: now,
            recipients: recipients.map(\.key.fingerprint), signers: [signer], probe: result)
        for (key, text) in RecoveryTexts.all { try await store.put(key, Array(text.utf8)) }
        for recipient in recipients {
            try await store.put("keys/\(recipient.key.fingerprint).gpg", recipient.publicKey)
        }
        try await store.put("keys/\(signer).gpg", signerKey)
        // Last: a repository exists when its descriptor does.
        try await store.put(BundleLayout.descriptor, try CanonicalJSON.encode(descriptor), condition: .ifAbsent)
        remember(descriptor, NoProgress())
        return descriptor
    }

    public func storeFacts() async throws -> (time: Timestamp?, room: UInt64?) {
        (try await store.time(), try await store.room())
    }

    public func canDelete() async throws -> Bool {
        do {
            try await store.delete("probe/\(BundleID.randomSuffix())\(BundleID.randomSuffix())")
            return true
        } catch let failure as Failure where failure.code == .storageDenied {
            return false
        }
    }

    public func bucketLock() async throws -> BucketLock? { try await store.bucketLock() }

    public func descriptor() async throws -> RepositoryDescriptor {
        if access == .putOnly { return try remembered() }
        do {
            return try CanonicalJSON.decode(
                RepositoryDescriptor.self, from: try await store.get(BundleLayout.descriptor),
                name: BundleLayout.descriptor)
        } catch let failure as Failure where failure.code == .objectNotFound {
            throw Failure(
                .repositoryNotFound, "there is no repository at \(location)",
                hint: "Make one with 'salvor init', or check the plan's 'repository.store'.")
        }
    }

    public func bundles(plan: String?) async throws -> [BundleID] {
        await (try listing(plan: plan)).bundles
    }

    /// What the store shows of a plan's bundles, or of all.
    func listing(plan: String?) async throws -> BundleListing {
        let listing = BundleListing()
        try await store.list(plan.map { "bundles/\($0)/" } ?? "bundles/") { await listing.add($0) }
        return listing
    }

    public func lastCommitted(plan: String) async throws -> BundleID? {
        try PlanState(state, repository: try await descriptor().id, plan: plan).lastCommitted()?.id
    }

    public func manifest(_ id: BundleID) async throws -> SignedManifest {
        let bytes: [UInt8]
        do {
            bytes = try await store.get(BundleLayout.key(id, BundleLayout.manifest))
        } catch let failure as Failure where failure.code == .objectNotFound {
            throw Failure(
                .bundleNotFound, "there is no bundle \(id) in \(location)",
                hint: "List them with 'salvor list-backups'.")
        }
        let manifest = try CanonicalJSON.decode(Manifest.self, from: bytes, name: BundleLayout.manifest)
        let signature: [UInt8]
        do {
            signature = try await store.get(BundleLayout.key(id, BundleLayout.signature))
        } catch let failure as Failure where failure.code == .objectNotFound {
            throw Failure(.signatureInvalid, "bundle \(id) has no signature")
        }
        let signer = try await verify(bytes, signature, of: "bundle \(id)", KeyFailures.distrustBundle)
        guard manifest.id == id, manifest.signer == signer else {
            throw Failure(.signatureInvalid, "the manifest of \(id) is not the one that was signed for it")
        }
        return SignedManifest(manifest: manifest, sha256: SHA256Digest.of(bytes))
    }

    public func segmentTable(_ id: BundleID) async throws -> SegmentTable {
        try await segmentTable(try await manifest(id).manifest)
    }

    func segmentTable(_ manifest: Manifest) async throws -> SegmentTable {
        guard let digest = manifest.objects[BundleLayout.segments] else {
            throw Failure(.integrity, "the manifest of \(manifest.id) does not name its segments.tsv")
        }
        let table = try SegmentTable(
            decoding: try await checked(BundleLayout.key(manifest.id, BundleLayout.segments), digest))
        let announced = manifest.sources.flatMap { source in source.streams.map { "\(source.name)/\($0.name)" } }
        guard Set(announced) == Set(table.streams.map { "\($0.source)/\($0.name)" }) else {
            throw Failure(.integrity, "manifest and segments.tsv of \(manifest.id) disagree on the streams")
        }
        return table
    }

    public func begin(
        _ run: BundleRun, plan: Plan, progress: any ProgressListener
    ) async throws -> any BundleWriter {
        let descriptor = try await descriptor()
        if access == .putOnly, plan.encryption.proof == .contents {
            throw Failure(
                .configuration, "'prove: contents' reads everything back, and the plan may only put",
                hint: "Leave 'prove' out, and validate from a host that may read.")
        }
        remember(descriptor, progress)
        let keys = try await RunKeys.make(plan: plan, keyring: keyring, signers: descriptor.signers)
        let planState = PlanState(state, repository: descriptor.id, plan: plan.name)
        return BundleWriterSession(
            run: run, plan: plan, repository: self, descriptor: descriptor, state: planState, keys: keys,
            progress: progress)
    }

    /// An object's bytes, once size and SHA-256 are right.
    func checked(_ key: String, _ expected: ObjectDigest) async throws -> [UInt8] {
        let bytes: [UInt8]
        do {
            bytes = try await store.get(key)
        } catch let failure as Failure where failure.code == .objectNotFound {
            throw Failure(.integrity, "'\(key)' is missing")
        }
        guard UInt64(bytes.count) == expected.size else {
            throw Failure(.integrity, "'\(key)' has \(bytes.count) bytes instead of \(expected.size)")
        }
        let digest = try await Blocking.run { SHA256Digest.of(bytes) }
        guard digest == expected.sha256 else {
            throw Failure(.integrity, "'\(key)' does not have the bytes that were written (SHA-256 differs)")
        }
        return bytes
    }

    func sign(_ bytes: [UInt8], signer: String) async throws -> [UInt8] {
        try await KeyFailures.translating { try await Signer(signer, in: keyring).sign(bytes) }
    }
}
