// SPDX-License-Identifier: Apache-2.0
import Domain

/// Names of a repository's objects (docs/format.md).
enum BundleLayout {
    static let descriptor = "salvor.json"
    static let manifest = "manifest.json"
    static let signature = "manifest.json.sig"
    static let segments = "segments.tsv"
    static let contents = "contents.gpg"
    /// The contents of a source with recipients of its own, relative to the bundle's folder: segments are one level deeper.
    static func contents(of source: String) -> String { "\(source)/\(contents)" }

    /// The folder of a bundle's proof records. No object of a stream has such a key: those are one level deeper.
    static let proofs = "proofs"
    /// Bytes of a record, at most: far more than one takes, and nothing to a reader's memory.
    static let proofLimit: UInt64 = 64 << 10

    /// Bytes of a run's record, at most: it has a few lines for each source.
    static let runLimit: UInt64 = 4 << 20

    /// `<source>/<stream>/000000.zst.gpg`, relative to the bundle's folder.
    static func segment(source: String, stream: String, index: Int) -> String {
        let digits = String(index)
        return "\(source)/\(stream)/\(String(repeating: "0", count: max(0, 6 - digits.count)))\(digits).zst.gpg"
    }

    /// `proofs/<name>.json`, relative to the bundle's folder; its signature has `.sig` behind that.
    static func proof(_ claim: ProofClaim) -> String { "\(proofs)/\(claim.name).json" }

    /// The folder of a bundle's records of one track.
    static func records(_ track: RetentionRecord.Track, _ bundle: BundleID) -> String {
        "\(track.rawValue)/\(bundle.plan)/\(bundle)"
    }

    /// The key of a retention record; its signature has `.sig` behind that.
    static func record(_ claim: RetentionClaim, _ bundle: BundleID) -> String {
        "\(records(claim.kind.track, bundle))/\(claim.name).json"
    }

    /// The folder of what is said of signers.
    static let signers = "keys/signers/"

    /// The key of what `voucher` says of a signer; its signature has `.sig` behind that.
    static func signer(_ fingerprint: String, by voucher: String) -> String {
        "\(signers)\(fingerprint)/\(voucher).json"
    }

    /// The key of a public key.
    static func publicKey(_ fingerprint: String) -> String { "keys/\(fingerprint).gpg" }

    /// The key of an object of a bundle.
    static func key(_ bundle: BundleID, _ object: String) -> String { "\(bundle.folder)/\(object)" }
}
