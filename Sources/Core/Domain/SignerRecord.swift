// SPDX-License-Identifier: Apache-2.0

/// That one key's signatures count, said by another whose signatures count: an object of its own, signed like a manifest,
/// never changed. It is how a repository learns of the signers of further hosts.
public struct SignerRecord: Codable, Sendable, Equatable {
    public var format: Int
    /// Id of the repository.
    public var repository: String
    /// Fingerprint of the key that counts from now on; its public part is `keys/<fingerprint>.gpg`.
    public var fingerprint: String
    public var at: Timestamp
    /// Whose key it is, for people.
    public var comment: String
    public var host: String
    /// `salvor 0.1.0`.
    public var tool: String
    /// Fingerprint of the key that vouches.
    public var signer: String

    /// `repository` and `signer` are filled in by whoever signs.
    public init(
        format: Int = currentFormat, repository: String = "", fingerprint: String, at: Timestamp, comment: String,
        host: String, tool: String, signer: String = ""
    ) {
        self.format = format
        self.repository = repository
        self.fingerprint = fingerprint
        self.at = Timestamp(seconds: at.seconds)
        self.comment = comment
        self.host = host
        self.tool = tool
        self.signer = signer
    }
}

/// A key that is known in a repository, and why its signatures count here.
public struct KnownSigner: Sendable, Codable, Equatable {
    public var fingerprint: String
    public var trust: Trust
    /// Fingerprint of the key that vouches for it; nil: none has to.
    public var by: String?
    /// Since when; nil: from the beginning.
    public var since: Timestamp?
    /// Whose key it is, for people.
    public var comment: String
    /// Why its signatures do not count; nil: they do.
    public var problem: String?

    /// Where trust in a key comes from.
    public enum Trust: String, Sendable, Codable {
        /// This plan names it.
        case plan
        /// The repository was made with it.
        case descriptor
        /// A key that counts vouches for it.
        case vouched
        /// Nothing says that it counts.
        case none
    }

    public init(
        fingerprint: String, trust: Trust, by: String? = nil, since: Timestamp? = nil, comment: String = "",
        problem: String? = nil
    ) {
        self.fingerprint = fingerprint
        self.trust = trust
        self.by = by
        self.since = since
        self.comment = comment
        self.problem = problem
    }
}

/// A repository as a place to learn whose signatures count.
public protocol SignerRepository: Sendable {
    /// Every key that something says to count, those first that do.
    func signers() async throws -> [KnownSigner]

    /// Signs with the host's key that another one counts, and stores its public part and that.
    ///
    /// - Parameter key: a public key as exported.
    /// - Returns: the record as stored.
    /// - Throws: when the host's own key does not count, or `key` is no single usable key.
    func addSigner(_ key: [UInt8], _ record: SignerRecord, plan: Plan) async throws -> SignerRecord

    /// The public key that the repository has under a fingerprint.
    func publicKey(_ fingerprint: String) async throws -> [UInt8]
}
