// SPDX-License-Identifier: Apache-2.0
import Domain
import LocalState
import Monitoring
import Operations

extension Session {
    /// The state of a plan; never throws.
    ///
    /// - Parameter limit: how long the repository may take to answer.
    func status(_ plan: Plan, limit: Duration? = nil) async -> Status.Entry {
        let session = self
        return await Status(clock: clock, limit: limit).entry(
            plan, history: history(plan), isRunning: PlanLock.seemsHeld(state, plan: plan.name),
            nextRun: nextRun(plan), repository: { try await session.repository(plan) })
    }

    /// The states of several plans, side by side, in their order.
    func status(_ plans: [Plan], limit: Duration? = nil) async -> [Status.Entry] {
        await withTaskGroup(of: (Int, Status.Entry).self) { group in
            for (index, plan) in plans.enumerated() {
                group.addTask { (index, await status(plan, limit: limit)) }
            }
            var entries: [Int: Status.Entry] = [:]
            for await (index, entry) in group { entries[index] = entry }
            return entries.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    /// The metrics text of these states.
    func metrics(_ entries: [Status.Entry]) -> String {
        PrometheusText.render(StatusMetrics.families(entries, version: Versions.salvor))
    }

    /// When the plan's timer is due next; nil: it has none.
    func nextRun(_ plan: Plan) -> Timestamp? { nil }
}
