// SPDX-License-Identifier: Apache-2.0

/// A plan document: which sources, which repository, which recipients, which retention, when, whom to tell.
public struct Plan: Sendable {
    public var name: String
    /// The file the plan was read from.
    public var file: String
    public var repository: RepositorySettings
    public var encryption: EncryptionSettings
    /// In the order of the document; names are unique.
    public var sources: [SourceSettings]
    /// What `retention` amounts to; nil: the plan keeps everything.
    public var policy: RetentionPolicy?
    /// When its commands run by themselves; nil: whenever somebody runs them.
    public var schedule: Schedule?
    /// Programs around each backup.
    public var hooks: Hooks
    /// Every reference to a secret in the document, in its order.
    public var secrets: [SecretReference]
    /// Parts whose meaning belongs to other commands, kept as read: retention, notify.
    public var retention: ConfigNode?
    public var notify: ConfigNode?
    /// What `notify` amounts to, in the order of the document.
    public var channels: [NotificationChannel]
    public var objectives: Objectives
    /// Whether the last full of dump streams is kept locally so that deltas can be made.
    public var keepsLocalBase: Bool
    /// Whether its sources are frozen first and streamed then (`consistency: together`).
    public var isTogether: Bool
    /// What pauses the application while they are frozen; nil: it goes on writing.
    public var quiesce: Quiesce?

    /// Every recipient named in it, each once: the plan's, then those of single sources.
    public var allRecipients: [String] {
        var seen: Set<String> = []
        return (encryption.recipients + sources.flatMap(\.recipients)).filter { seen.insert($0).inserted }
    }

    public init(
        name: String, file: String, repository: RepositorySettings, encryption: EncryptionSettings,
        sources: [SourceSettings], retention: ConfigNode? = nil, schedule: Schedule? = nil, notify: ConfigNode? = nil,
        objectives: Objectives = Objectives(), keepsLocalBase: Bool = true, policy: RetentionPolicy? = nil,
        hooks: Hooks = Hooks(), secrets: [SecretReference] = [], channels: [NotificationChannel] = [],
        isTogether: Bool = false, quiesce: Quiesce? = nil
    ) {
        self.name = name
        self.file = file
        self.repository = repository
        self.encryption = encryption
        self.sources = sources
        self.retention = retention
        self.schedule = schedule
        self.notify = notify
        self.channels = channels
        self.objectives = objectives
        self.keepsLocalBase = keepsLocalBase
        self.policy = policy
        self.hooks = hooks
        self.secrets = secrets
        self.isTogether = isTogether
        self.quiesce = quiesce
    }
}

/// Where bundles live and how to get there.
public struct RepositorySettings: Sendable {
    /// `file:///path` or `s3://bucket/prefix`.
    public var store: String
    public var s3: S3Settings
    public var access: RepositoryAccess

    public init(store: String, s3: S3Settings = S3Settings(), access: RepositoryAccess = .full) {
        self.store = store
        self.s3 = s3
        self.access = access
    }
}

/// What the plan's credentials may do in the store.
public enum RepositoryAccess: String, Sendable, Codable, CaseIterable {
    /// Whatever a command needs.
    case full
    /// Put objects, and nothing else: a backup lists, reads and deletes nothing, and lives on what the host remembers.
    case putOnly = "put-only"
}

/// How to reach an S3-compatible store; everything has the usual AWS default.
public struct S3Settings: Sendable {
    /// `https://host[:port]`; nil: AWS by region.
    public var endpoint: String?
    public var region: String?
    public var addressing: Addressing?
    public var accessKey: SecretReference?
    public var secretKey: SecretReference?
    public var sessionToken: SecretReference?
    /// Profile of the shared configuration files.
    public var profile: String?
    /// A PEM file of certificate authorities to trust instead of the system's.
    public var caFile: String?
    /// An HTTP proxy for the store, `http://host:port`.
    public var proxy: String?
    public var storageClass: String?
    /// Object lock: mode (`compliance` or `governance`) and days.
    public var objectLock: (mode: String, days: Int)?

    /// How bucket names get into URLs.
    public enum Addressing: String, Sendable, CaseIterable {
        case path
        case virtualHost = "virtual-host"
    }

    public init() {}
}

/// Who can read the bundles and who vouches for them.
public struct EncryptionSettings: Sendable {
    /// Fingerprints of keys in the keyring, or `file:PATH` of a public key. Sources may have others of their own.
    public var recipients: [String]
    /// Fingerprint of the host's signing key; nil: the keyring's only secret key.
    public var signer: String?
    /// How far each run proves what it stored.
    public var proof: Proof

    /// What a run proves at birth.
    public enum Proof: String, Sendable, Codable, CaseIterable {
        /// Every segment is decoded again in memory before it is uploaded.
        case decode
        /// Also: everything is read back from the store, decrypted with the run's ephemeral key and compared.
        case contents
    }

    public init(recipients: [String], signer: String? = nil, proof: Proof = .decode) {
        self.recipients = recipients
        self.signer = signer
        self.proof = proof
    }
}

/// One source of a plan.
public struct SourceSettings: Sendable {
    /// The plan it belongs to; empty for a source that stands alone.
    public var plan: String
    public var name: String
    /// The adapter's kind, such as `postgresql`.
    public var adapter: String
    public var transport: TransportSettings
    /// The source's mapping less `name`, `adapter`, `transport` and the keys below, for the adapter to read strictly.
    public var settings: ConfigNode
    public var mark: ConfigMark
    /// Seconds that its capture may take, from the first check to the last byte, further attempts included; nil: any.
    public var timeLimit: Int?
    /// How often it is tried again when it fails, and the seconds between.
    public var retries: Int
    public var retryDelay: Int
    /// A search index: whatever it holds can be made anew, so `restore --indexes` may put it back to its last good bundle.
    public var isIndex: Bool
    /// Whether it belongs to its plan's recovery group, if there is one and the system can be frozen; else it is read
    /// meanwhile.
    public var freezes: Bool
    /// Who can read what it stores, instead of the plan's recipients, in the same form; empty: those of the plan.
    public var recipients: [String]
    /// What a drill asks the restored source, in the order of the document.
    public var assertions: [DrillAssertion]
    /// The program, with its arguments, that restores the source for practice in a drill; nil: the adapter does.
    public var drillProgram: [String]?

    /// Half a minute: a server that restarts is back by then.
    public static let standardRetryDelay = 30

    public init(
        name: String, adapter: String, transport: TransportSettings, settings: ConfigNode, mark: ConfigMark,
        timeLimit: Int? = nil, retries: Int = 0, retryDelay: Int = standardRetryDelay, isIndex: Bool = false,
        plan: String = "", freezes: Bool = true, recipients: [String] = [], assertions: [DrillAssertion] = [],
        drillProgram: [String]? = nil
    ) {
        self.plan = plan
        self.name = name
        self.adapter = adapter
        self.transport = transport
        self.settings = settings
        self.mark = mark
        self.timeLimit = timeLimit
        self.retries = retries
        self.retryDelay = retryDelay
        self.isIndex = isIndex
        self.freezes = freezes
        self.recipients = recipients
        self.assertions = assertions
        self.drillProgram = drillProgram
    }
}

/// What the operator wants to hold, in seconds.
public struct Objectives: Sendable, Equatable {
    public var recoveryPoint: Int?
    public var recoveryTime: Int?
    public var drillEvery: Int?

    public init(recoveryPoint: Int? = nil, recoveryTime: Int? = nil, drillEvery: Int? = nil) {
        self.recoveryPoint = recoveryPoint
        self.recoveryTime = recoveryTime
        self.drillEvery = drillEvery
    }
}
