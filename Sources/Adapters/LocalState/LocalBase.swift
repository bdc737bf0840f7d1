// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain
import Foundation
import Glibc

/// The plaintext of a dump stream's last full, kept as the very zstd frames that were stored, with what is needed to find
/// matches in it. Reveals nothing the live system does not, beyond rows deleted since.
public struct DumpBase: Codable, Sendable, Equatable {
    /// The bundle whose full this is.
    public var bundle: BundleID
    public var taken: Timestamp
    public var rawBytes: UInt64
    /// Stored bytes of the full, to weigh deltas against.
    public var storedBytes: UInt64
    /// Stored bytes of the last delta against it; nil: none yet.
    public var lastDeltaBytes: UInt64?
    /// Fingerprints of who can read the full: nobody else could read a delta against it.
    public var recipients: [String]
    public var segments: [Slice]
    /// SHA-256 of the fingerprint file.
    public var fingerprints: SHA256Digest

    /// One slice of the stream.
    public struct Slice: Codable, Sendable, Equatable {
        public var rawOffset: UInt64
        public var rawLength: UInt64
        /// SHA-256 of the raw slice: what is read back must be it.
        public var sha256: SHA256Digest

        public init(rawOffset: UInt64, rawLength: UInt64, sha256: SHA256Digest) {
            self.rawOffset = rawOffset
            self.rawLength = rawLength
            self.sha256 = sha256
        }
    }

    public init(
        bundle: BundleID, taken: Timestamp, rawBytes: UInt64, storedBytes: UInt64, lastDeltaBytes: UInt64? = nil,
        recipients: [String], segments: [Slice], fingerprints: SHA256Digest
    ) {
        self.bundle = bundle
        self.taken = taken
        self.rawBytes = rawBytes
        self.storedBytes = storedBytes
        self.lastDeltaBytes = lastDeltaBytes
        self.recipients = recipients
        self.segments = segments
        self.fingerprints = fingerprints
    }
}

/// The member list of a tree stream's last full.
public struct TreeBaseNote: Codable, Sendable, Equatable {
    public var bundle: BundleID
    public var taken: Timestamp
    /// Apparent bytes of the full's tar.
    public var rawBytes: UInt64
    public var storedBytes: UInt64
    /// Stored bytes of the last incremental against it; nil: none yet.
    public var lastDeltaBytes: UInt64?
    /// Fingerprints of who can read the full: nobody else could read an incremental against it.
    public var recipients: [String]
    public var members: Int
    /// SHA-256 of the member file.
    public var sha256: SHA256Digest

    public init(
        bundle: BundleID, taken: Timestamp, rawBytes: UInt64, storedBytes: UInt64, lastDeltaBytes: UInt64? = nil,
        recipients: [String], members: Int, sha256: SHA256Digest
    ) {
        self.bundle = bundle
        self.taken = taken
        self.rawBytes = rawBytes
        self.storedBytes = storedBytes
        self.lastDeltaBytes = lastDeltaBytes
        self.recipients = recipients
        self.members = members
        self.sha256 = sha256
    }
}

/// The local bases of one stream: `current/` is in use, `next/` is being made and takes its place when the bundle is
/// committed. Whatever is missing or damaged reads as "no base", and the next backup of the stream is a full.
public struct BaseFolder: Sendable {
    private let directory: StateDirectory
    private static let note = "base.json"

    public init(_ bases: StateDirectory, source: String, stream: String) {
        directory = bases.below(source).below(stream)
    }

    private var current: StateDirectory { directory.below("current") }
    private var next: StateDirectory { directory.below("next") }

    /// The base of a dump stream with its fingerprints.
    public func dump() -> (base: DumpBase, fingerprints: [UInt8])? {
        // Missing or damaged means no base, as the type says.
        guard let base: DumpBase = try? load(), let fingerprints = try? current.read("fingerprints"),
            SHA256Digest.of(fingerprints) == base.fingerprints
        else { return nil }
        return (base, fingerprints)
    }

    /// The base of a tree stream with its members.
    public func tree() -> (note: TreeBaseNote, members: MemberTable)? {
        // Missing or damaged means no base, as the type says.
        guard let note: TreeBaseNote = try? load(), let text = try? current.read("members"),
            SHA256Digest.of(text) == note.sha256
        else { return nil }
        return (note, MemberTable(text: text, count: note.members))
    }

    /// The zstd frame of a dump base's slice.
    public func frame(_ index: Int) throws -> [UInt8] {
        guard let bytes = try current.read("\(index).zst") else {
            throw Failure(.stateDamaged, "the local base in '\(current.path)' has lost slice \(index)")
        }
        return bytes
    }

    /// Drops whatever a dead run left half made.
    public func beginNext() throws {
        try directory.remove("next")
        try next.create()
    }

    /// Keeps a frame of the full that is being stored.
    public func addFrame(_ index: Int, _ frame: [UInt8]) throws {
        try next.write("\(index).zst", frame, durable: false)
    }

    /// Makes the new dump base current. Called after the bundle is committed.
    public func adopt(_ base: DumpBase, fingerprints: [UInt8]) throws {
        try next.write("fingerprints", fingerprints, durable: false)
        try adopt(base)
    }

    /// Makes the new tree base current. Called after the bundle is committed.
    public func adopt(_ note: TreeBaseNote, members: MemberTable) throws {
        try beginNext()
        try next.write("members", members.text, durable: false)
        try adopt(note)
    }

    /// Notes the size of the last delta against the current base.
    public func update(_ base: DumpBase) throws { try save(base, in: current) }

    /// Notes the size of the last incremental against the current base.
    public func update(_ note: TreeBaseNote) throws { try save(note, in: current) }

    /// Drops what was being made.
    public func abandonNext() throws { try directory.remove("next") }

    private func adopt(_ value: some Encodable) throws {
        try save(value, in: next)
        try directory.remove("current")
        guard rename(next.path, current.path) == 0 else {
            throw Failure(.localInput, "unable to rename '\(next.path)': \(String(cString: strerror(errno)))")
        }
    }

    private func load<Value: Decodable>() throws -> Value? {
        guard let bytes = try current.read(Self.note) else { return nil }
        return try JSONDecoder().decode(Value.self, from: Data(bytes))
    }

    private func save(_ value: some Encodable, in folder: StateDirectory) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try folder.write(Self.note, Array(try encoder.encode(value)))
    }
}
