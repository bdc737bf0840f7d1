// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// What this host remembers of a plan's bundles, `repositories/<id>/<plan>/bundles.txt`, and of its last run.
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

    public func lastRun() throws -> LastRun? {
        let history = RunHistoryFiles(root, plan: plan)
        // A run holds the plan's lock as long as it lives. Only looked at: taking it would turn away a run that begins now.
        if let begun = try history.begun(), begun.isWhole, !PlanLock.seemsHeld(root, plan: plan) {
            return LastRun(
                started: begun.started, failure: "the run of \(begun.started) on this host died before its end")
        }
        // A run of some sources only says nothing about the plan's nights.
        guard let last = try history.runs(.backup, newest: 100).last(where: \.isWhole) else { return nil }
        guard last.outcome != .ok else { return LastRun(started: last.started, failure: nil) }
        return LastRun(
            started: last.started,
            failure: "the last run on this host failed at \(last.finished) "
                + "(\(last.failure?.code ?? last.outcome.rawValue))")
    }
}
