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
        var entry = await Status(clock: clock, limit: limit).entry(
            plan, history: history(plan), isRunning: PlanLock.seemsHeld(state, plan: plan.name),
            nextRun: plan.schedule?.next(after: clock.now()), repository: { try await session.repository(plan) })
        do {
            let waiting = try notifications.outgoing(plan: plan.name).count
            if waiting > 0 { entry.warnings.append("notifications not delivered: \(waiting) (salvor notify pending)") }
        } catch { entry.warnings.append(Failure.wrapping(error).summary) }
        return entry
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
        let now = clock.now()
        var intervals: [String: Int] = [:]
        for plan in plans {
            guard let schedule = plan.schedule, let longest = schedule.longestInterval(after: now) else { continue }
            // A tenth more for the run itself, besides what the timer may put off.
            intervals[plan.name] = longest + (schedule.randomizedDelay ?? 0) + longest / 10
        }
        return PrometheusText.render(
            StatusMetrics.families(entries, version: Versions.salvor, intervals: intervals))
    }

    /// The units of systemd that the plan's schedule needs, as 'timers install' names them.
    static func timers(_ plan: Plan) -> [String] {
        guard let schedule = plan.schedule else { return [] }
        return Schedule.Job.allCases.filter { !schedule.calendar($0).isEmpty }
            .map { "salvor-\($0.rawValue)-\(plan.name).timer" }
    }
}
