// SPDX-License-Identifier: Apache-2.0

/// The journal of one restore: enough to finish or undo it after a crash.
public struct RestoreRecord: Sendable, Codable, Equatable {
    /// Short id, safe in names: lower-case letters and digits.
    public var id: String
    public var plan: String
    public var bundle: BundleID
    public var started: Timestamp
    public var include: [String]
    /// In the plan's order.
    public var sources: [Source]

    /// How far one source is.
    public struct Source: Sendable, Codable, Equatable {
        public var name: String
        public var rename: String?
        public var phase: Phase
        /// What the adapter noted last.
        public var record: JSONValue

        public init(name: String, rename: String?, phase: Phase, record: JSONValue = .null) {
            self.name = name
            self.rename = rename
            self.phase = phase
            self.record = record
        }
    }

    /// A phase is noted before its work begins (`staging`) and after it is done (`staged`).
    public enum Phase: String, Sendable, Codable {
        case planned, staging, staged, verified, promoting, promoted
        case rollingBack = "rolling-back"
        case rolledBack = "rolled-back"
        case abandoned, settled
    }

    public init(
        id: String, plan: String, bundle: BundleID, started: Timestamp, include: [String], sources: [Source]
    ) {
        self.id = id
        self.plan = plan
        self.bundle = bundle
        self.started = started
        self.include = include
        self.sources = sources
    }

    /// Whether nothing is left to do or undo.
    public var isClosed: Bool {
        sources.allSatisfy { [.planned, .rolledBack, .abandoned, .settled].contains($0.phase) }
    }
}

/// Where restore journals are kept, durably.
public protocol RestoreRecords: Sendable {
    /// Replaces a journal; durable when it returns.
    func save(_ record: RestoreRecord) throws
    /// - Throws: `Failure(.restoreNotFound)`.
    func load(_ id: String) throws -> RestoreRecord
    /// All journals, oldest first.
    func all() throws -> [RestoreRecord]
    /// Where `scratch` makes its folder, for plans, which only read.
    func scratchPath(_ id: String, source: String) -> String
    /// A folder of mode 0700 for the restore's large temporary files.
    func scratch(_ id: String, source: String) throws -> String
    /// A folder of mode 0700 that lives until the restore is settled or rolled back.
    func kept(_ id: String, source: String) throws -> String
    /// Removes the temporary files (`everything`: also what is kept).
    func clean(_ id: String, everything: Bool) throws
}

/// Writes a stream's files below a folder without its engine (`restore --to-directory`).
public protocol TreeWriting: Sendable {
    /// Extracts a tar stream (with its base), safely; gives what is worth knowing. `include`: patterns; empty: all.
    func extract(_ stream: any StoredStream, into directory: String, include: [String]) async throws -> [String]
}

/// Writes raw streams to files of this host.
public protocol FileWriting: Sendable {
    /// - Throws: `Failure(.targetExists)` when there is something at `path`.
    func requireAbsent(_ path: String) async throws
    /// Writes a stream to a new file (mode 0600), durably; a failure leaves no file of that name.
    func write(_ stream: any StoredStream, to path: String) async throws
    /// Removes a folder that was made here, with all that is in it; succeeds when it is not there.
    func discard(_ path: String) async throws
}
