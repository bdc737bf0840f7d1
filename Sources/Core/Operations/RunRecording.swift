// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Keeps a record of every run whatever becomes of it: on this host at once, in the repository as soon as that can be
/// reached, with whatever earlier runs could not store.
public struct RunRecording: Sendable {
    let history: any RunHistory
    let clock: any WallClock
    let observers: [any RunObserver]
    let note: @Sendable (String) -> Void
    /// Earlier records that observers are shown.
    private static let shown = 60

    /// - Parameter note: is told, for the operator, why a record could not be kept or stored. No reason for a run to fail.
    public init(
        history: any RunHistory, clock: any WallClock, observers: [any RunObserver] = [],
        note: @escaping @Sendable (String) -> Void
    ) {
        self.history = history
        self.clock = clock
        self.observers = observers
        self.note = note
    }

    /// Carries `body` out and records what became of it.
    ///
    /// - Parameters:
    ///   - record: of a run that begins.
    ///   - repository: where to store records, opened only when the run is over; nil: nowhere.
    ///   - findings: what the record will say of a result.
    /// - Throws: what `body` throws, and nothing else.
    public func run<Result: Sendable>(
        _ record: RunRecord, plan: Plan, repository: (@Sendable () async throws -> any RunRecordRepository)?,
        findings: @Sendable (Result) -> RunFindings, _ body: () async throws -> Result
    ) async throws -> Result {
        begin(record)
        // Detached from this task's cancellation, here and below: an interrupted run is told of, too.
        await Task { for observer in observers { await observer.began(record, plan: plan) } }.value
        var ended = record
        do {
            let result = try await body()
            ended.note(findings(result), partial: record.kind == .backup)
            await end(ended, plan, storing: repository)
            return result
        } catch {
            let failure = Failure.wrapping(error)
            ended.note(RunFindings(failure: failure), partial: false)
            let isReachable = ![.storageUnreachable, .interrupted].contains(failure.code.exitStatus)
            await end(ended, plan, storing: isReachable ? repository : nil)
            throw error
        }
    }

    private func begin(_ record: RunRecord) {
        guard record.kind == .backup else { return }
        keeping {
            // Whoever begins holds the plan's lock, so a run that began and is not over is dead.
            if var dead = try history.begun() {
                dead.outcome = .died
                dead.finished = clock.now()
                dead.failure = RecordedFailure(
                    code: "run.died", message: "the run was killed, or its host stopped, before it ended",
                    hint: "Look at the host's log of that time; this run begins anew.")
                try history.keep(dead)
            }
            try history.begin(record)
        }
    }

    private func end(
        _ record: RunRecord, _ plan: Plan, storing repository: (@Sendable () async throws -> any RunRecordRepository)?
    ) async {
        var record = record
        record.finished = clock.now()
        let ended = record
        var earlier: [RunRecord] = []
        keeping {
            earlier = try history.runs(nil, newest: Self.shown)
            try history.keep(ended)
        }
        let shown = earlier
        await Task {
            if let repository { await store(plan, repository) }
            for observer in observers { await observer.ended(ended, plan: plan, history: shown) }
        }.value
    }

    private func store(_ plan: Plan, _ repository: @Sendable () async throws -> any RunRecordRepository) async {
        do {
            let pending = try history.pending()
            guard !pending.isEmpty else { return }
            let repository = try await repository()
            for record in pending {
                do {
                    _ = try await repository.store(record, plan: plan)
                } catch let failure as Failure where record.kind != .backup && Self.isReader(failure) {
                    // The host where bundles are proven and restored often has neither the key nor the right to write.
                }
                try history.setStored([record.id])
            }
        } catch {
            note("records of runs stay on this host until the next run: \(Failure.wrapping(error).summary)")
        }
    }

    private static func isReader(_ failure: Failure) -> Bool {
        failure.code.exitStatus == .key || failure.code == .storageDenied
    }

    /// A run matters more than its record.
    private func keeping(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            note("the run is not recorded: \(Failure.wrapping(error).summary)")
        }
    }
}

extension RunRecord {
    fileprivate mutating func note(_ findings: RunFindings, partial: Bool) {
        outcome = findings.failure == nil ? .ok : partial ? .partial : .failed
        failure = findings.failure.map { RecordedFailure($0) }
        bundle = findings.bundle
        if kind == .backup, let bundle { id = bundle }
        sources = findings.sources
        rawBytes = findings.rawBytes
        storedBytes = findings.storedBytes
        retained = findings.retained.isEmpty ? nil : findings.retained
    }
}
