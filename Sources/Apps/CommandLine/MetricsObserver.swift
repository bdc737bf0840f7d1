// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import LocalState
import Monitoring
import Operations

/// Writes the metrics file after each run, when salvor.yaml names one. Never a reason for a run to fail.
struct MetricsObserver: RunObserver {
    private let session: Session
    private let path: String
    /// A run that is over should not wait longer for its metrics; one that was told to end should not wait at all.
    private static let patience = Duration.seconds(60)
    private static let haste = Duration.seconds(5)

    /// nil: no file is asked for.
    init?(_ session: Session) {
        guard let path = session.metricsFile else { return nil }
        self.session = session
        self.path = path
    }

    func began(_ record: RunRecord, plan: Plan) async {}

    /// Looks at the plan, notes what it found, and writes what is noted of all plans.
    func ended(_ record: RunRecord, plan: Plan, history: [RunRecord]) async {
        let isHurried = record.failure?.code == Failure.Code.interrupted.text
        let found = await session.status(plan, limit: isHurried ? Self.haste : Self.patience)
        do {
            try await Blocking.run {
                let notes = StatusNotes(session.state)
                // Of two runs that end together the second one writes what both found.
                try notes.exclusively {
                    try notes.save(Array(try JSONEncoder().encode(found)), plan: plan.name)
                    let entries = try session.plans.map { try $0.name == plan.name ? found : noted($0, notes) }
                    try WholeFile.metrics(path).write(session.metrics(entries.compactMap { $0 }))
                }
            }
        } catch {
            let failure = Failure.wrapping(error)
            Output.note("salvor: the metrics were not written: \(failure.summary)")
            if let hint = failure.hint { Output.note("  \(hint)") }
        }
    }

    private func noted(_ plan: Plan, _ notes: StatusNotes) throws -> Status.Entry? {
        guard let bytes = try notes.load(plan: plan.name) else { return nil }
        // One of another version, or damaged, is none: the plan's next run writes it anew.
        return try? JSONDecoder().decode(Status.Entry.self, from: Data(bytes))
    }
}
