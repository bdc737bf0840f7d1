// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// One source's part of a restore, as given to its adapter.
public struct SourceRestore: Sendable {
    /// Short id of the restore, safe in names: lower-case letters and digits.
    public var restoreID: String
    public var bundle: BundleID
    /// What the bundle's contents say of the source.
    public var contents: Contents.Source
    /// The chosen streams.
    public var streams: [any StoredStream]
    /// Patterns of what to restore (databases, paths); empty: everything.
    public var include: [String]
    /// Restore under another name (`--rename`): a database name, a path; nil: the original.
    public var rename: String?
    /// A local folder, mode 0700, that may hold large temporary files; removed when the restore ends. While a restore is
    /// planned it need not be there yet.
    public var scratchDirectory: String
    /// A local folder, mode 0700, that lives until the restore is settled, rolled back or abandoned: the place for an old
    /// state that the live system cannot keep itself.
    public var keepDirectory: String

    /// `keepDirectory` is the scratch directory unless given.
    public init(
        restoreID: String, bundle: BundleID, contents: Contents.Source, streams: [any StoredStream],
        include: [String] = [], rename: String? = nil, scratchDirectory: String, keepDirectory: String? = nil
    ) {
        self.restoreID = restoreID
        self.bundle = bundle
        self.contents = contents
        self.streams = streams
        self.include = include
        self.rename = rename
        self.scratchDirectory = scratchDirectory
        self.keepDirectory = keepDirectory ?? scratchDirectory
    }

    /// Where the restore is, without the bundle.
    public var place: RestorePlace {
        RestorePlace(
            restoreID: restoreID, bundle: bundle, source: contents.name, scratchDirectory: scratchDirectory,
            keepDirectory: keepDirectory)
    }

    /// The stream of that name.
    ///
    /// - Throws: `Failure(.integrity)` when the bundle has none.
    public func stream(_ name: String) throws -> any StoredStream {
        guard let stream = streams.first(where: { $0.name == name }) else {
            throw Failure(.integrity, "the bundle has no stream '\(name)' of source '\(contents.name)'")
        }
        return stream
    }
}

/// Where one source's restore is: together with the journal, all that ending it takes. There is nothing of the bundle's
/// contents in it, so that a restore is rolled back and settled without a decryption key and without the repository.
public struct RestorePlace: Sendable {
    /// Short id of the restore, safe in names: lower-case letters and digits.
    public var restoreID: String
    public var bundle: BundleID
    /// The source's name.
    public var source: String
    /// As in `SourceRestore`.
    public var scratchDirectory: String
    /// As in `SourceRestore`.
    public var keepDirectory: String

    public init(
        restoreID: String, bundle: BundleID, source: String, scratchDirectory: String, keepDirectory: String
    ) {
        self.restoreID = restoreID
        self.bundle = bundle
        self.source = source
        self.scratchDirectory = scratchDirectory
        self.keepDirectory = keepDirectory
    }
}

/// A stream of a bundle, readable.
public protocol StoredStream: Sendable {
    var name: String { get }
    var kind: StreamKind { get }
    var storage: StreamStorage { get }
    /// The file's name when restored to a directory.
    var fileName: String { get }
    /// Length and digest of the whole raw stream.
    var receipt: StreamReceipt { get }
    /// For tars: the members in this stream.
    var members: MemberTable { get }
    /// For incremental tars: paths of the base that are gone.
    var deletions: [[UInt8]] { get }
    /// For incremental tars: the same stream of the base bundle.
    var base: (any StoredStream)? { get }

    /// Gives the raw bytes of `range` (all when nil) in order to `consume`, on a thread that may block. Every segment is
    /// checked against its digest before a byte of it is handed over; when it returns, all of the range has been.
    func read(
        _ range: Range<UInt64>?, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws
}

/// What a restore of one source would do: computed without touching the target.
public struct SourceRestorePlan: Sendable, Codable, Equatable {
    /// One step with the command it runs or the call it makes, as text for people.
    public struct Step: Sendable, Codable, Equatable {
        /// `stage`, `verify`, `promote`.
        public var phase: String
        public var what: String
        public var command: String?

        public init(_ phase: String, _ what: String, command: String? = nil) {
            self.phase = phase
            self.what = what
            self.command = command
        }
    }

    /// Identity of the target as found: `PostgreSQL 15.20 at /run/postgresql:5432, system 7710…`.
    public var target: String
    /// What the bundle's copy came from.
    public var origin: String
    public var steps: [Step]
    /// What will be replaced by promote: `database app (12 tables, 901 MB)`.
    public var replaces: [String]
    /// Names made beside: `app__salvor_k3f9qz`.
    public var creates: [String]
    /// Bytes that will be read from the repository, before decompression; nil when unknown.
    public var bytesNeeded: UInt64?
    /// Free bytes where the stage goes; nil when it cannot be known.
    public var bytesFree: UInt64?
    /// Why it cannot be done.
    public var blockers: [String]
    /// What the operator should know.
    public var warnings: [String]

    public init(
        target: String, origin: String, steps: [Step] = [], replaces: [String] = [], creates: [String] = [],
        bytesNeeded: UInt64? = nil, bytesFree: UInt64? = nil, blockers: [String] = [], warnings: [String] = []
    ) {
        self.target = target
        self.origin = origin
        self.steps = steps
        self.replaces = replaces
        self.creates = creates
        self.bytesNeeded = bytesNeeded
        self.bytesFree = bytesFree
        self.blockers = blockers
        self.warnings = warnings
    }
}

/// Where an adapter notes what it is about to do and has done, durably, so that a restore that was killed can be finished
/// or undone. Write before acting.
public protocol RestoreJournal: Sendable {
    /// What was last recorded for this source; `.null` at first.
    var recorded: JSONValue { get async }
    /// Replaces the record; durable when it returns.
    func record(_ value: JSONValue) async throws
    /// Tells people what happens.
    func note(_ message: String) async
}
