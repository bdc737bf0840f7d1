// SPDX-License-Identifier: Apache-2.0

/// Whether a stream is stored as a full or against its base (docs/format.md, "Re-base").
public enum RebaseRule {
    /// A base older than this is replaced by a new full; seconds.
    public static let maximumBaseAge: Double = 30 * 86400
    /// A base is replaced when the last delta took more than this share of the full.
    public static let maximumDeltaShare = 0.3

    /// Whether the base may serve once more.
    public static func isUsable(
        taken: Timestamp, storedBytes: UInt64, lastDeltaBytes: UInt64?, at now: Timestamp
    ) -> Bool {
        let age = now.seconds(since: taken)
        // A base from the future means a clock that jumped: its age cannot be trusted, so start anew.
        guard age >= -86400, age <= maximumBaseAge else { return false }
        // Below 1 MiB the fixed cost of any object outweighs the share.
        guard let lastDeltaBytes, lastDeltaBytes > 1 << 20 else { return true }
        return Double(lastDeltaBytes) <= maximumDeltaShare * Double(storedBytes)
    }
}
