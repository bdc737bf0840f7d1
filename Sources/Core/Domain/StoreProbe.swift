// SPDX-License-Identifier: Apache-2.0

/// What a store was found to guarantee, by trying.
public struct ProbeResult: Codable, Sendable, Equatable {
    /// Of parallel conditional writes to one key, exactly one won, every time.
    public var conditionalWrites: Bool
    /// What was written was listed at once.
    public var listAfterPut: Bool
    public var at: Timestamp

    public init(conditionalWrites: Bool, listAfterPut: Bool, at: Timestamp) {
        self.conditionalWrites = conditionalWrites
        self.listAfterPut = listAfterPut
        self.at = at
    }
}
