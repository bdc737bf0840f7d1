// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// Where a repository's objects live. Keys are relative to the repository's root, `/`-separated, without `.` or `..`
/// parts. Objects are immutable: written whole or not at all, never appended to.
///
/// Contract, checked by one test suite over every implementation:
/// - After `put` returns, `get`, `head` and `list` see the object, whole. A `put` that throws leaves either nothing or the
///   whole object, never a part. A retry after an unknown outcome is the store's own business.
/// - `get` of fewer bytes than the object (or the range) has is an error, never a short success.
/// - `list` gives every object exactly once, in order of key bytes, or throws. An empty prefix lists all.
/// - `delete` of a missing object succeeds.
/// - Errors are `Failure`s: `objectNotFound`, `conflict` (condition not met), or one of the `storage…` codes.
public protocol Store: Sendable {
    /// The location for people and manifests, without secrets: `file:///srv/backups`, `s3://bucket/prefix`.
    var location: String { get }

    /// Writes an object. `sha256` is of `body`, checked by the store on the way where it can be.
    func put(_ key: String, _ body: [UInt8], sha256: SHA256Digest, condition: PutCondition) async throws

    /// Reads an object, or `range` of it, into memory.
    func get(_ key: String, range: Range<UInt64>?) async throws -> [UInt8]

    /// The size of an object; nil when it is not there.
    func size(of key: String) async throws -> UInt64?

    /// Every object whose key begins with `prefix`, page by page.
    func list(_ prefix: String, _ page: @Sendable ([StoredObject]) async throws -> Void) async throws

    /// The names of the "folders" directly below `prefix` (which ends in `/` or is empty), without slashes, sorted.
    func folders(under prefix: String) async throws -> [String]

    /// Removes an object; succeeds when it is not there.
    func delete(_ key: String) async throws

    /// What the store's own clock says; nil: it has none but this host's, or does not tell.
    func time() async throws -> Timestamp?

    /// Bytes that can still be written; nil: nobody knows.
    func room() async throws -> UInt64?

    /// What keeps an object from being deleted; nil: nothing does, nobody tells, or the object is not there.
    func retention(of key: String) async throws -> ObjectRetention?

    /// Whether the store locks objects; nil: it knows no such thing.
    func bucketLock() async throws -> BucketLock?
}

extension Store {
    /// Nobody's clock but this host's.
    public func time() async throws -> Timestamp? { nil }

    /// Unknown.
    public func room() async throws -> UInt64? { nil }

    /// Nothing.
    public func retention(of key: String) async throws -> ObjectRetention? { nil }

    /// No such thing.
    public func bucketLock() async throws -> BucketLock? { nil }

    /// Reads a whole object into memory.
    public func get(_ key: String) async throws -> [UInt8] {
        try await get(key, range: nil)
    }

    /// Every object whose key begins with `prefix`, all at once: only for prefixes known to be small.
    public func list(_ prefix: String) async throws -> [StoredObject] {
        let all = Collected()
        try await list(prefix) { await all.append($0) }
        return await all.objects
    }

    /// Writes an object with its digest computed here.
    public func put(_ key: String, _ body: [UInt8], condition: PutCondition = .none) async throws {
        try await put(key, body, sha256: SHA256Digest.of(body), condition: condition)
    }
}

private actor Collected {
    var objects: [StoredObject] = []
    func append(_ page: [StoredObject]) { objects += page }
}

/// What must hold for a `put` to take place.
public enum PutCondition: Sendable, Equatable {
    case none
    /// No object may have that key yet (`If-None-Match: *`; in a directory, a link that fails when the name exists).
    case ifAbsent
}

/// One object in a listing.
public struct StoredObject: Sendable, Hashable {
    public var key: String
    public var size: UInt64

    public init(key: String, size: UInt64) {
        self.key = key
        self.size = size
    }
}
