// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// The newest repository and manifest format this program writes and reads (docs/format.md).
public let currentFormat = 1

/// A bundle's public description, signed; written last, so a bundle exists exactly when its manifest does. Holds no file
/// names, table names, row counts or secrets.
public struct Manifest: Codable, Sendable, Equatable {
    public var format: Int
    public var id: BundleID
    public var plan: String
    public var host: String
    /// `salvor 0.1.0`.
    public var tool: String
    /// Id of the repository the bundle was made for.
    public var repository: String
    public var started: Timestamp
    public var finished: Timestamp
    public var state: State
    public var sources: [Source]
    public var tags: [String]
    public var comment: String
    /// The plan's bundle before this one; nil for the first.
    public var previous: Previous?
    /// `segments.tsv` and `contents.gpg` by name; also the contents of each source with recipients of its own.
    public var objects: [String: ObjectDigest]
    /// Fingerprints of the keys that can decrypt all sources without recipients of their own.
    public var recipients: [String]
    /// Fingerprint of the key that signed.
    public var signer: String
    public var proof: EncryptionSettings.Proof
    /// For a bundle that was imported: where it came from; nil for one that was captured.
    public var origin: Origin?
    /// How the sources that were frozen together relate; nil: each is of a moment of its own.
    public var group: RecoveryGroup?
    /// What the run could do in the store: `.putOnly` when it could not look at the repository; nil: it did.
    public var access: RepositoryAccess?

    /// Whether every source is in the bundle.
    public enum State: String, Codable, Sendable {
        case complete
        case partial
    }

    /// One source of the plan, as captured.
    public struct Source: Codable, Sendable, Equatable {
        public var name: String
        public var adapter: String
        /// Product and version, such as `PostgreSQL 15.20`.
        public var engine: String
        public var state: State
        /// The failure's code when the source failed.
        public var failure: String?
        public var started: Timestamp
        public var finished: Timestamp
        public var streams: [Stream]
        /// Between which moments the copy was fixed, for a source that was frozen; nil: it was read from `started` to
        /// `finished`.
        public var frozen: ClockInterval?
        /// The system's own position of a frozen copy (LSN, replication offset, tag).
        public var position: String?
        /// Fingerprints of the only keys that can decrypt this source, when they are not the bundle's.
        public var recipients: [String]?

        /// Whether the source's streams are all there.
        public enum State: String, Codable, Sendable {
            case ok
            case failed
        }

        public init(
            name: String, adapter: String, engine: String, state: State, failure: String? = nil, started: Timestamp,
            finished: Timestamp, streams: [Stream], frozen: ClockInterval? = nil, position: String? = nil,
            recipients: [String]? = nil
        ) {
            self.name = name
            self.adapter = adapter
            self.engine = engine
            self.state = state
            self.failure = failure
            self.started = started
            self.finished = finished
            self.streams = streams
            self.frozen = frozen
            self.position = position
            self.recipients = recipients
        }
    }

    /// One stream, as stored.
    public struct Stream: Codable, Sendable, Equatable {
        public var name: String
        public var kind: StreamKind
        public var storage: StreamStorage
        /// The bundle a delta or an incremental refers to.
        public var base: BundleID?
        public var segments: Int
        public var rawBytes: UInt64
        public var storedBytes: UInt64

        public init(
            name: String, kind: StreamKind, storage: StreamStorage, base: BundleID?, segments: Int, rawBytes: UInt64,
            storedBytes: UInt64
        ) {
            self.name = name
            self.kind = kind
            self.storage = storage
            self.base = base
            self.segments = segments
            self.rawBytes = rawBytes
            self.storedBytes = storedBytes
        }
    }

    /// A link of the plan's chain of manifests.
    public struct Previous: Codable, Sendable, Equatable {
        public var id: BundleID
        /// SHA-256 of the previous `manifest.json`.
        public var sha256: SHA256Digest

        public init(id: BundleID, sha256: SHA256Digest) {
            self.id = id
            self.sha256 = sha256
        }
    }

    /// The bundle that an imported one is a copy of.
    public struct Origin: Codable, Sendable, Equatable {
        public var id: BundleID
        /// Id of the repository it was exported from.
        public var repository: String
        /// SHA-256 of its `manifest.json`.
        public var sha256: SHA256Digest
        /// Fingerprint of the key that signed the export.
        public var signer: String
        /// When it was imported; the bundle's own times are those of its data.
        public var imported: Timestamp

        public init(id: BundleID, repository: String, sha256: SHA256Digest, signer: String, imported: Timestamp) {
            self.id = id
            self.repository = repository
            self.sha256 = sha256
            self.signer = signer
            self.imported = imported
        }
    }

    public init(
        format: Int = currentFormat, id: BundleID, plan: String, host: String, tool: String, repository: String,
        started: Timestamp, finished: Timestamp, state: State, sources: [Source], tags: [String], comment: String,
        previous: Previous?, objects: [String: ObjectDigest], recipients: [String], signer: String,
        proof: EncryptionSettings.Proof, origin: Origin? = nil, group: RecoveryGroup? = nil,
        access: RepositoryAccess? = nil
    ) {
        self.format = format
        self.id = id
        self.plan = plan
        self.host = host
        self.tool = tool
        self.repository = repository
        self.started = started
        self.finished = finished
        self.state = state
        self.sources = sources
        self.tags = tags
        self.comment = comment
        self.previous = previous
        self.objects = objects
        self.recipients = recipients
        self.signer = signer
        self.proof = proof
        self.origin = origin
        self.group = group
        self.access = access
    }

    /// Fingerprints of the keys that can decrypt the source of that name.
    public func recipients(of source: String) -> [String] {
        sources.first { $0.name == source }?.recipients ?? recipients
    }

    /// Raw bytes of all streams.
    public var rawBytes: UInt64 { sources.flatMap(\.streams).reduce(0) { $0 + $1.rawBytes } }

    /// Stored bytes of all streams.
    public var storedBytes: UInt64 { sources.flatMap(\.streams).reduce(0) { $0 + $1.storedBytes } }
}

/// Size and SHA-256 of an object.
public struct ObjectDigest: Codable, Sendable, Equatable {
    public var size: UInt64
    public var sha256: SHA256Digest

    public init(size: UInt64, sha256: SHA256Digest) {
        self.size = size
        self.sha256 = sha256
    }
}

/// What a stream's bytes are.
public enum StreamKind: String, Codable, Sendable {
    /// One file, such as a dump.
    case raw
    /// A pax tar of a tree.
    case tar
}

/// How a stream is stored.
public enum StreamStorage: String, Codable, Sendable {
    /// Self-contained.
    case full
    /// Against the same stream of a base bundle, segment by segment (`zstd --patch-from`).
    case delta
    /// A tar of the members that changed since the base bundle.
    case incremental
}
