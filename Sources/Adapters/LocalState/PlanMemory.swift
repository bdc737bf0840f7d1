// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// What this host remembers of a plan's bundles and of its last run: `repositories/<id>/<plan>/bundles.txt`, `runs/<plan>.json`.
public struct PlanMemory: RetentionMemory {
    private let directory: StateDirectory
    private let root: StateDirectory
    private let state: PlanState
    private let plan: String
    private static let note = "bundles.txt"

    /// - Parameter repository: the repository's id.
    public init(_ root: StateDirectory, repository: String, plan: String) {
        directory = root.below("repositories").below(repository).below(plan)
        state = PlanState(root, repository: repository, plan: plan)
        self.root = root
        self.plan = plan
    }

    /// Those noted last, and the last one that was committed here since.
    public func knownBundles() throws -> [BundleID] {
        var known: Set<BundleID> = []
        if let bytes = try directory.read(Self.note) {
            known.formUnion(
                String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { BundleID(String($0)) })
        }
        if let last = try state.lastCommitted() { known.insert(last.id) }
        return known.sorted()
    }

    public func setKnownBundles(_ bundles: [BundleID]) throws {
        try directory.write(Self.note, Array(bundles.map { "\($0)\n" }.joined().utf8))
    }

    public func lastRunFailure() throws -> String? { try RunNote.failure(root, plan: plan) }
}

/// How the last run of a plan on this host went: noted when it begins and when it ends, so that one that was killed shows.
public struct RunNote: Codable, Sendable, Equatable {
    /// When the run that is under way began; nil: none is.
    public var running: Timestamp?
    /// When the last one ended.
    public var ended: Timestamp?
    /// The code of its failure; nil: every source is in its bundle.
    public var failure: String?

    /// Notes that a run begins.
    public static func begin(_ root: StateDirectory, plan: String, at now: Timestamp) throws {
        var note = try load(root, plan)
        note.running = now
        try save(note, root, plan)
    }

    /// Notes how the run ended.
    public static func end(_ root: StateDirectory, plan: String, at now: Timestamp, failure: Failure.Code?) throws {
        try save(RunNote(running: nil, ended: now, failure: failure?.text), root, plan)
    }

    /// How the last run failed, for people; nil: it did not, or none is known.
    static func failure(_ root: StateDirectory, plan: String) throws -> String? {
        let note = try load(root, plan)
        // A run holds the plan's lock as long as it lives.
        if let running = note.running, isFree(root, plan) {
            return "the run of \(running) on this host died before its end"
        }
        guard let failure = note.failure, let ended = note.ended else { return nil }
        return "the last run on this host failed at \(ended) (\(failure))"
    }

    private static func isFree(_ root: StateDirectory, _ plan: String) -> Bool {
        // Held, or not to be had: both mean that nothing can be said against the run.
        (try? PlanLock(root, plan: plan)) != nil
    }

    /// A damaged note counts as none: the bundles themselves tell of the last one that was made.
    private static func load(_ root: StateDirectory, _ plan: String) throws -> RunNote {
        guard let bytes = try root.below("runs").read("\(plan).json") else { return RunNote() }
        return (try? JSONDecoder().decode(RunNote.self, from: Data(bytes))) ?? RunNote()  // damaged is none, as said
    }

    private static func save(_ note: RunNote, _ root: StateDirectory, _ plan: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        do {
            try root.below("runs").write("\(plan).json", Array(try encoder.encode(note)))
        } catch let error as EncodingError {
            throw Failure.wrapping(error, as: .internalError, "the note of the run")
        }
    }
}
