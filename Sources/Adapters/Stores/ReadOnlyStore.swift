// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain

/// A store that refuses to write or delete, whatever is underneath: for everything that only looks.
public struct ReadOnlyStore: Store {
    private let base: any Store

    public init(_ base: any Store) {
        self.base = base
    }

    public var location: String { base.location }

    /// Throws `storageDenied`.
    public func put(_ key: String, _ body: [UInt8], sha256: SHA256Digest, condition: PutCondition) async throws {
        throw refusal("writing '\(key)'")
    }

    public func get(_ key: String, range: Range<UInt64>?) async throws -> [UInt8] {
        try await base.get(key, range: range)
    }

    public func size(of key: String) async throws -> UInt64? {
        try await base.size(of: key)
    }

    public func list(_ prefix: String, _ page: @Sendable ([StoredObject]) async throws -> Void) async throws {
        try await base.list(prefix, page)
    }

    public func folders(under prefix: String) async throws -> [String] {
        try await base.folders(under: prefix)
    }

    public func time() async throws -> Timestamp? { try await base.time() }

    public func room() async throws -> UInt64? { try await base.room() }

    public func retention(of key: String) async throws -> ObjectRetention? { try await base.retention(of: key) }

    public func bucketLock() async throws -> BucketLock? { try await base.bucketLock() }

    /// Throws `storageDenied`.
    public func delete(_ key: String) async throws {
        throw refusal("deleting '\(key)'")
    }

    private func refusal(_ action: String) -> Failure {
        Failure(.storageDenied, "\(base.location) is open for reading only: \(action) was refused")
    }
}
