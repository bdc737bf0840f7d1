// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain

/// A store of a plan that says `access: put-only`: everything but putting is refused here, before anybody is asked, with
/// the right that it would take.
public struct PutOnlyStore: Store {
    private let base: any Store

    public init(_ base: any Store) {
        self.base = base
    }

    public var location: String { base.location }

    public func put(_ key: String, _ body: [UInt8], sha256: SHA256Digest, condition: PutCondition) async throws {
        try await base.put(key, body, sha256: sha256, condition: condition)
    }

    /// Throws `storageDenied`.
    public func get(_ key: String, range: Range<UInt64>?) async throws -> [UInt8] {
        throw refusal("reading '\(key)'", "to read")
    }

    /// Throws `storageDenied`.
    public func size(of key: String) async throws -> UInt64? {
        throw refusal("looking at '\(key)'", "to read")
    }

    /// Throws `storageDenied`.
    public func list(_ prefix: String, _ page: @Sendable ([StoredObject]) async throws -> Void) async throws {
        throw refusal("listing '\(prefix)'", "to list")
    }

    /// Throws `storageDenied`.
    public func folders(under prefix: String) async throws -> [String] {
        throw refusal("listing '\(prefix)'", "to list")
    }

    /// Throws `storageDenied`, but for what a probe asks to delete: that is how the missing right is found out.
    public func delete(_ key: String) async throws {
        guard key.hasPrefix("probe/") else { throw refusal("deleting '\(key)'", "to delete") }
        try await base.delete(key)
    }

    private func refusal(_ action: String, _ right: String) -> Failure {
        Failure(
            .storageDenied,
            "the plan may only put into \(base.location) (access: put-only), and \(action) takes the right \(right)",
            hint: "Run this where the plan and its credentials may do more; this host makes backups and nothing else.")
    }
}
