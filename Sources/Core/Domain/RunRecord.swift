// SPDX-License-Identifier: Apache-2.0

/// What became of one run of a command over a plan, whatever the outcome: an object of its own, signed like a manifest,
/// never changed. Written on the host first, and stored as soon as the repository can be reached.
public struct RunRecord: Codable, Sendable, Equatable {
    public var format: Int
    /// Id of the repository; empty until it is signed.
    public var repository: String
    /// Made like a bundle's id; the bundle's own id when the run committed one.
    public var id: BundleID
    public var kind: Kind
    public var started: Timestamp
    public var finished: Timestamp
    public var outcome: Outcome
    /// Why it is not `ok`; nil: it is.
    public var failure: RecordedFailure?
    /// The bundle it committed, validated or restored; nil: none.
    public var bundle: BundleID?
    /// Whether it was about all sources of the plan: a run of some says nothing about the plan's nights.
    public var isWhole: Bool
    /// In the order of the plan; those that were not reached are absent.
    public var sources: [RecordedSource]
    /// Bytes captured, and stored for them.
    public var rawBytes: UInt64
    public var storedBytes: UInt64
    public var host: String
    /// `salvor 0.1.0`.
    public var tool: String
    /// Fingerprint of the key that signed; empty until it is signed.
    public var signer: String
    /// Of a prune: bundles whose time is over and that the store did not let go; nil: none.
    public var retained: [RetainedBundle]?

    private enum CodingKeys: String, CodingKey {
        case format, repository, id, kind, started, finished, outcome, failure, bundle
        case isWhole = "whole"
        case sources, rawBytes, storedBytes, host, tool, signer, retained
    }

    /// What was run.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        case backup, validate, prune, restore, drill
    }

    /// How it ended.
    public enum Outcome: String, Codable, Sendable, CaseIterable {
        case ok
        /// Some sources failed; a bundle of the others was committed.
        case partial
        case failed
        /// It was killed, or its host stopped: noticed by the next run, which cannot know when.
        case died
    }

    /// An empty record of a run that begins.
    public init(id: BundleID, kind: Kind, isWhole: Bool, host: String, tool: String) {
        format = currentFormat
        repository = ""
        self.id = id
        self.kind = kind
        started = id.started
        finished = id.started
        outcome = .ok
        self.isWhole = isWhole
        sources = []
        rawBytes = 0
        storedBytes = 0
        self.host = host
        self.tool = tool
        signer = ""
    }

    public var plan: String { id.plan }

    /// `<id>.<kind>.json`.
    public static func fileName(_ id: BundleID, _ kind: Kind) -> String { "\(id).\(kind.rawValue).json" }

    /// The folder of the records of runs in a repository.
    public static let folder = "runs"

    /// The key of a record: `runs/<plan>/<year>/<month>/<id>.<kind>.json`; its signature has `.sig` behind that.
    public static func key(_ id: BundleID, _ kind: Kind) -> String {
        let date = id.started.calendar
        return "\(folder)/\(id.plan)/\(date.year)/\(Timestamp.two(date.month))/\(fileName(id, kind))"
    }

    /// Reads a file name; nil when it is not one.
    public static func parse(fileName: String) -> (id: BundleID, kind: Kind)? {
        // A plan's name may have dots.
        guard let stem = fileName.droppingSuffix(".json"), let dot = stem.lastIndex(of: "."),
            let kind = Kind(rawValue: String(stem[stem.index(after: dot)...])), let id = BundleID(String(stem[..<dot]))
        else { return nil }
        return (id, kind)
    }
}

extension RunRecord {
    /// The drill that tells how things stand: the newest that failed and was not made good since, else the newest. One that
    /// somebody interrupted tells nothing.
    ///
    /// - Parameter records: of drills, oldest first.
    public static func standing(of records: [RunRecord]) -> RunRecord? {
        let drills = records.filter { $0.failure?.code != Failure.Code.interrupted.text }
        for (index, drill) in drills.enumerated().reversed() where drill.outcome != .ok {
            if !drills[(index + 1)...].contains(where: drill.isMadeGood) { return drill }
        }
        return drills.last
    }

    /// Whether a later drill succeeded with whatever failed in this one.
    public func isMadeGood(by later: RunRecord) -> Bool {
        guard later.outcome == .ok else { return false }
        let failed = sources.filter { $0.failure != nil }
        // One that took too long failed as a whole.
        let names = (failed.isEmpty ? sources : failed).map(\.name)
        return later.isWhole || Set(names).isSubset(of: later.sources.map(\.name))
    }
}

/// What a run came to, for its record.
public struct RunFindings: Sendable {
    public var bundle: BundleID?
    /// Why it is not `ok`: a failure of the whole, or the first of several sources.
    public var failure: Failure?
    public var sources: [RecordedSource]
    public var rawBytes: UInt64
    public var storedBytes: UInt64
    /// Bundles that the store did not let go.
    public var retained: [RetainedBundle]

    public init(
        bundle: BundleID? = nil, failure: Failure? = nil, sources: [RecordedSource] = [], rawBytes: UInt64 = 0,
        storedBytes: UInt64 = 0, retained: [RetainedBundle] = []
    ) {
        self.bundle = bundle
        self.failure = failure
        self.sources = sources
        self.rawBytes = rawBytes
        self.storedBytes = storedBytes
        self.retained = retained
    }

    /// Of a backup: the bundle, the sources that are missing from it, and how often each was tried.
    public init(_ manifest: Manifest, failures: [String: Failure], attempts: [String: Int] = [:]) {
        self.init(
            bundle: manifest.id, failure: failures.sorted { $0.key < $1.key }.first?.value,
            sources: manifest.sources.map { source in
                RecordedSource(
                    name: source.name, failure: failures[source.name].map { RecordedFailure($0) },
                    attempts: attempts[source.name] ?? 1, seconds: source.finished.seconds(since: source.started),
                    rawBytes: source.streams.reduce(0) { $0 + $1.rawBytes },
                    storedBytes: source.streams.reduce(0) { $0 + $1.storedBytes })
            }, rawBytes: manifest.rawBytes, storedBytes: manifest.storedBytes)
    }
}

/// Is told of runs, to tell others: never throws, and reports its own failures.
public protocol RunObserver: Sendable {
    /// A run begins.
    func began(_ record: RunRecord, plan: Plan) async

    /// A run is over and was recorded. `history` has this host's earlier records of the plan, newest last.
    func ended(_ record: RunRecord, plan: Plan, history: [RunRecord]) async
}

/// A failure as it is kept: without what belongs to one process.
public struct RecordedFailure: Codable, Sendable, Equatable {
    /// Stable code of docs/errors.md.
    public var code: String
    public var message: String
    /// The next step, if one is known.
    public var hint: String?

    public init(_ failure: Failure) {
        code = failure.code.text
        message = failure.summary
        hint = failure.hint
    }

    public init(code: String, message: String, hint: String? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
    }
}

/// A bundle that a prune could not remove.
public struct RetainedBundle: Codable, Sendable, Equatable {
    public var bundle: BundleID
    /// When its lock ends; nil: nobody told, or there is no end.
    public var until: Timestamp?
    /// For people.
    public var reason: String

    public init(bundle: BundleID, until: Timestamp?, reason: String) {
        self.bundle = bundle
        self.until = until
        self.reason = reason
    }
}

/// One source's part of a run.
public struct RecordedSource: Codable, Sendable, Equatable {
    public var name: String
    /// nil: it was captured.
    public var failure: RecordedFailure?
    /// How often it was tried; 1 unless the plan says `retries`.
    public var attempts: Int
    public var seconds: Double
    public var rawBytes: UInt64
    public var storedBytes: UInt64

    public init(
        name: String, failure: RecordedFailure? = nil, attempts: Int = 1, seconds: Double, rawBytes: UInt64,
        storedBytes: UInt64
    ) {
        self.name = name
        self.failure = failure
        self.attempts = attempts
        self.seconds = seconds
        self.rawBytes = rawBytes
        self.storedBytes = storedBytes
    }
}

/// The runs a host remembers of a plan: what status, notifications and metrics are made of, also when the repository
/// cannot be reached.
public protocol RunHistory: Sendable {
    /// The newest records, at most `count`, newest last; of one kind, or of all.
    ///
    /// - Throws: `Failure(.localInput)`. A record that cannot be read is left out.
    func runs(_ kind: RunRecord.Kind?, newest count: Int) throws -> [RunRecord]

    /// Notes, durably, that a run begins, so that one that is killed is noticed.
    func begin(_ record: RunRecord) throws

    /// The run that began and was not kept: under way, or dead.
    func begun() throws -> RunRecord?

    /// Keeps a record, durably, ends what `begin` noted, and forgets those beyond the newest few hundred that were stored.
    func keep(_ record: RunRecord) throws

    /// Kept records that no repository has yet, oldest first.
    func pending() throws -> [RunRecord]

    /// Notes that the repository has them.
    func setStored(_ ids: [BundleID]) throws
}

/// The records of runs in a repository, `runs/<plan>/<year>/<month>/<id>.<kind>.json` (docs/format.md).
public protocol RunRecordRepository: Sendable {
    /// Signs and stores a record.
    ///
    /// - Returns: the record as it was signed.
    func store(_ record: RunRecord, plan: Plan) async throws -> RunRecord

    /// The records of a plan's runs that began at `since` or later, oldest first: those whose signature counts, and what is
    /// wrong with each of the others.
    func runRecords(
        plan: String, since: Timestamp
    ) async throws -> (records: [RunRecord], unbelieved: [(name: String, failure: Failure)])
}
