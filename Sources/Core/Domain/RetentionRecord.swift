// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// The times, in seconds, by which writers and removers keep out of each other's way without a lock (docs/format.md,
/// "Retention records"; docs/models has the proof). They leave room for clocks that differ by some minutes.
public enum RetentionTimes {
    /// From a mark to a removal at least; from a taken back mark to a new reference at least.
    public static let hour = 3600.0
    /// From a last look to what it allows, a removal or a manifest, at most.
    public static let look = 1800.0
    /// After so long a run without a manifest counts as dead: longer than any backup takes.
    public static let dead = 7 * 86400
    /// So long after its start a full may still serve as a base to runs that cannot look whether it is there: the age at
    /// which bases are renewed, the time a run may take, and a day for clocks.
    public static let blindBase = Int(RebaseRule.maximumBaseAge) + dead + 86400
}

/// What somebody, or a policy, decided about one bundle: an object of its own, signed like a manifest, never changed. The
/// newest of a track counts.
public struct RetentionRecord: Codable, Sendable, Equatable {
    public var format: Int
    /// Id of the repository.
    public var repository: String
    public var bundle: BundleID
    /// SHA-256 of the bundle's `manifest.json`: what ties the record to this very bundle, also when it is gone.
    public var manifest: SHA256Digest
    public var kind: Kind
    public var at: Timestamp
    /// For people.
    public var reason: String
    public var host: String
    /// `salvor 0.1.0`.
    public var tool: String
    /// Fingerprint of the key that signed.
    public var signer: String

    /// What was decided.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// Never remove it.
        case hold
        /// The hold is over.
        case release
        /// A policy keeps it no longer: it may be removed when the grace time is over.
        case expired
        /// An operator deleted it: likewise.
        case deleted
        /// It stays after all.
        case kept

        /// Records of one track outweigh each other.
        public var track: Track { self == .hold || self == .release ? .holds : .prunes }
    }

    /// A folder of records.
    public enum Track: String, Sendable, CaseIterable {
        case holds
        case prunes
    }

    /// `repository` and `signer` are filled in by whoever signs.
    public init(
        format: Int = currentFormat, repository: String = "", bundle: BundleID, manifest: SHA256Digest, kind: Kind,
        at: Timestamp, reason: String, host: String, tool: String, signer: String = ""
    ) {
        self.format = format
        self.repository = repository
        self.bundle = bundle
        self.manifest = manifest
        self.kind = kind
        // The object's name has whole seconds, and must say the same.
        self.at = Timestamp(seconds: at.seconds)
        self.reason = reason
        self.host = host
        self.tool = tool
        self.signer = signer
    }
}

/// What the name of a retention record claims: `20261121T031500Z-hold-k3f9qz`.
public struct RetentionClaim: Sendable, Hashable, Codable {
    public let name: String
    public let kind: RetentionRecord.Kind
    public let at: Timestamp

    /// The claim of a record, with a random end that keeps names apart.
    public init(_ record: RetentionRecord) {
        kind = record.kind
        at = record.at
        name = "\(at.compact)-\(kind.rawValue)-\(BundleID.randomSuffix())"
    }

    /// Reads a name; nil when it is not one.
    public init?(name: String) {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let at = Timestamp(compact: parts[0]),
            let kind = RetentionRecord.Kind(rawValue: parts[1]), (4...32).contains(parts[2].utf8.count),
            parts[2].utf8.allSatisfy({ ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) })
        else { return nil }
        self.name = name
        self.kind = kind
        self.at = at
    }

    /// Whether it says what `record` says.
    public func agrees(with record: RetentionRecord) -> Bool { kind == record.kind && at == record.at }

    /// Whether believing it protects the bundle, so that no proof is asked for.
    public var protects: Bool { kind == .hold || kind == .kept }

    /// The claims of a track, the newest first; of one second, those that protect come first.
    public static func newestFirst(
        _ claims: [RetentionClaim], _ track: RetentionRecord.Track
    ) -> [RetentionClaim] {
        claims.filter { $0.kind.track == track }
            .sorted { ($0.at, $0.protects ? 1 : 0, $0.name) > ($1.at, $1.protects ? 1 : 0, $1.name) }
    }
}

/// What the records of one bundle amount to.
public struct RetentionStanding: Sendable, Equatable {
    /// Why it is held; nil: it is not.
    public var hold: String?
    /// The mark that stands; nil: it is not to be removed.
    public var mark: RetentionRecord?
    /// Records that do not count, and why.
    public var unbelieved: [String]

    public init(hold: String? = nil, mark: RetentionRecord? = nil, unbelieved: [String] = []) {
        self.hold = hold
        self.mark = mark
        self.unbelieved = unbelieved
    }
}
