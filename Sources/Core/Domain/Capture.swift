// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// Where an adapter's capture delivers its streams. Streams may be open side by side. A stream whose body throws fails the
/// source; so does one whose claimed length differs from what arrived.
public protocol CaptureSink: Sendable {
    /// One raw file of unknown length. `body` writes it (on a thread that may block) and returns its own count of bytes;
    /// it must throw unless the producer ended well (exit status, end marker).
    ///
    /// - Parameters:
    ///   - name: a `SafeName`, stable from night to night, so that deltas find their base.
    ///   - fileName: the file's name when restored to a directory.
    ///   - estimatedBytes: for progress; nil when unknown.
    func raw(
        _ name: String, fileName: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink) async throws -> StreamEnd
    ) async throws -> StreamReceipt

    /// One tar of a tree. With a base, `body` may leave out what is unchanged since (an incremental); without, it must
    /// write everything (a full).
    func tree(
        _ name: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink, TreeBase?) async throws -> TreeEnd
    ) async throws -> StreamReceipt
}

/// The full that an incremental may refer to.
public struct TreeBase: Sendable {
    public var bundle: BundleID
    /// All members of the base, in walk order.
    public var members: MemberTable

    public init(bundle: BundleID, members: MemberTable) {
        self.bundle = bundle
        self.members = members
    }
}

/// What a tree's producer claims at the end.
public struct TreeEnd: Sendable {
    /// Bytes of tar handed over.
    public var length: UInt64
    /// Members written to this stream, in stream order.
    public var members: MemberTable
    /// Paths in the base and gone since, in walk order; empty for a full.
    public var deletions: [[UInt8]]
    /// Members left out because they are unchanged since the base.
    public var unchanged: Int
    /// Apparent bytes of the unchanged files, to weigh an incremental against a new full.
    public var unchangedBytes: UInt64

    public init(length: UInt64, members: MemberTable, deletions: [[UInt8]], unchanged: Int, unchangedBytes: UInt64) {
        self.length = length
        self.members = members
        self.deletions = deletions
        self.unchanged = unchanged
        self.unchangedBytes = unchangedBytes
    }
}

/// What a capture tells at its end, besides its streams.
public struct CaptureReport: Sendable {
    /// Product and version, such as `PostgreSQL 15.20`.
    public var engine: String
    public var facts: Facts
    /// What the adapter will need to restore; stored encrypted.
    public var restoreData: JSONValue
    /// What was noteworthy but not wrong.
    public var notices: [String]
    /// The system's own position of the copy (LSN, replication offset); nil where it has none.
    public var position: String?

    public init(
        engine: String, facts: Facts, restoreData: JSONValue = .null, notices: [String] = [], position: String? = nil
    ) {
        self.engine = engine
        self.facts = facts
        self.restoreData = restoreData
        self.notices = notices
        self.position = position
    }
}
