// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

extension ProofLevel: Comparable {
    /// Whether `left` proves less than `right`.
    public static func < (left: ProofLevel, right: ProofLevel) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .presence: 0
        case .checksum: 1
        case .contents: 2
        case .drill: 3
        }
    }
}

/// What one validation of a bundle found: an object beside the bundle's own, signed like a manifest, never changed.
public struct ProofRecord: Codable, Sendable, Equatable {
    public var format: Int
    /// Id of the repository.
    public var repository: String
    public var bundle: BundleID
    /// SHA-256 of the bundle's `manifest.json`: what ties the record to this very bundle.
    public var manifest: SHA256Digest
    public var level: ProofLevel
    /// When the validation began: everything was looked at then or later.
    public var at: Timestamp
    /// `backup` (proof at birth), `validate-backup` or `drill`.
    public var command: String
    public var host: String
    /// `salvor 0.1.0`.
    public var tool: String
    /// Fingerprint of the key that signed.
    public var signer: String
    /// How many problems were found; 0: proven.
    public var problems: Int
    /// Objects looked at.
    public var objects: Int
    /// Bytes read.
    public var bytes: UInt64

    /// `repository` and `signer` are filled in by whoever signs.
    public init(
        format: Int = currentFormat, repository: String = "", bundle: BundleID, manifest: SHA256Digest,
        level: ProofLevel, at: Timestamp, command: String, host: String, tool: String, signer: String = "",
        problems: Int, objects: Int, bytes: UInt64
    ) {
        self.format = format
        self.repository = repository
        self.bundle = bundle
        self.manifest = manifest
        self.level = level
        // The object's name has whole seconds, and must say the same.
        self.at = Timestamp(seconds: at.seconds)
        self.command = command
        self.host = host
        self.tool = tool
        self.signer = signer
        self.problems = problems
        self.objects = objects
        self.bytes = bytes
    }

    /// Whether everything asked for was proven.
    public var isProven: Bool { problems == 0 }
}

/// What the name of a proof record claims. A name is cheap to list and cheap to forge: it is a claim until the record behind
/// it was read and its signature checked.
public struct ProofClaim: Sendable, Hashable, Codable {
    /// The record's name without its ending: `20261121T020003Z-contents-proven-k3f9qz`.
    public let name: String
    public let level: ProofLevel
    public let at: Timestamp
    public let isProven: Bool

    private enum CodingKeys: String, CodingKey {
        case name, level, at
        case isProven = "proven"
    }

    /// The claim of a record, with a random end that keeps names apart.
    public init(_ record: ProofRecord) {
        level = record.level
        at = record.at
        isProven = record.isProven
        name =
            "\(at.compact)-\(level.rawValue)-\(isProven ? Self.proven : Self.problems)-\(BundleID.randomSuffix())"
    }

    /// Reads a name; nil when it is not one.
    public init?(name: String) {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, let at = Timestamp(compact: parts[0]), let level = ProofLevel(rawValue: parts[1]),
            [Self.proven, Self.problems].contains(parts[2]), (4...32).contains(parts[3].utf8.count),
            parts[3].utf8.allSatisfy({ ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) })
        else { return nil }
        self.name = name
        self.level = level
        self.at = at
        isProven = parts[2] == Self.proven
    }

    /// Why the moment of the claim cannot be: before its bundle began, or in the future.
    public func contradiction(of bundle: BundleID, at now: Timestamp) -> String? {
        if at < bundle.started { return "claims to be older than its bundle" }
        if at.seconds(since: now) > Self.clockTolerance { return "is from the future (\(at))" }
        return nil
    }

    /// Whether it says what `record` says.
    public func agrees(with record: ProofRecord) -> Bool {
        level == record.level && at == record.at && isProven == record.isProven
    }

    /// Seconds by which the clocks of two hosts may differ.
    private static let clockTolerance = 300.0
    private static let proven = "proven"
    private static let problems = "problems"
}

/// A record that is there and does not count.
public struct UnbelievedProof: Sendable, Equatable, Codable {
    public var bundle: BundleID
    /// The record's name.
    public var name: String
    public var code: String
    /// Why it is not believed.
    public var reason: String

    public init(bundle: BundleID, claim: ProofClaim, _ failure: Failure) {
        self.bundle = bundle
        name = claim.name
        code = failure.code.text
        reason = failure.summary
    }
}

/// How far a bundle is proven, by its records together.
public struct ProofStanding: Sendable, Equatable, Codable {
    /// The newest proof of the highest level; nil: none is recorded.
    public var proven: ProofClaim?
    /// The newest finding of problems, unless a later proof of the same or a higher level took it back.
    public var problems: ProofClaim?
    /// Whether records were read and their signatures checked; otherwise this is what names claim.
    public var isVerified: Bool

    private enum CodingKeys: String, CodingKey {
        case proven, problems
        case isVerified = "verified"
    }

    /// Nothing is known.
    public init(isVerified: Bool) {
        self.isVerified = isVerified
    }

    /// What the claims of a bundle amount to. `believes` is asked only about those that would make a difference, newest
    /// first: a bundle that is validated every night has hundreds.
    public static func of(
        _ claims: [ProofClaim], believes: (ProofClaim) async throws -> Bool
    ) async rethrows -> ProofStanding {
        var standing = ProofStanding(isVerified: true)
        for claim in newestFirst(claims) where standing.isChanged(by: claim) {
            if try await believes(claim) { standing.take(claim) }
        }
        return standing
    }

    /// What the names alone claim, without those whose moment cannot be.
    public static func claimed(_ claims: [ProofClaim], of bundle: BundleID, at now: Timestamp) -> ProofStanding {
        var standing = ProofStanding(isVerified: false)
        for claim in newestFirst(claims)
        where claim.contradiction(of: bundle, at: now) == nil && standing.isChanged(by: claim) {
            standing.take(claim)
        }
        return standing
    }

    /// Of one moment the bad news counts as the later.
    private static func newestFirst(_ claims: [ProofClaim]) -> [ProofClaim] {
        claims.sorted { ($0.at, $0.isProven ? 0 : 1, $0.name) > ($1.at, $1.isProven ? 0 : 1, $1.name) }
    }

    private func isChanged(by claim: ProofClaim) -> Bool {
        let isHigher = proven.map { $0.level < claim.level } ?? true
        return isHigher && (claim.isProven || problems == nil)
    }

    private mutating func take(_ claim: ProofClaim) {
        if claim.isProven { proven = claim } else { problems = claim }
    }
}

/// How far a bundle is proven.
public enum ProofLevel: String, Sendable, Codable, CaseIterable {
    case presence
    case checksum
    case contents
    /// Restored whole into engines that were thrown away, with every fact equal.
    case drill

    /// Those that a validation can be asked for.
    public static let validated: [ProofLevel] = [.presence, .checksum, .contents]
}
