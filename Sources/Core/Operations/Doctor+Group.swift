// SPDX-License-Identifier: Apache-2.0
public import Domain

extension Doctor {
    /// What a plan with `consistency: together` freezes and what it reads meanwhile; nil for other plans.
    public func group(_ plan: Plan) -> Section? {
        guard plan.isTogether else { return nil }
        let subject = "plan \(plan.name): recovery group"
        do {
            let members = try plan.sources.filter { try GroupRules.isMember($0, registry) }.map(\.name)
            let others = plan.sources.map(\.name).filter { !members.contains($0) }
            var checks = [Check("frozen together", .ok, members.joined(separator: ", "))]
            if !others.isEmpty { checks.append(Check("read meanwhile", .ok, others.joined(separator: ", "))) }
            checks.append(
                plan.quiesce.map { Check("quiesce", .ok, "paused by '\($0.pause.joined(separator: " "))'") }
                    ?? Check(
                        "quiesce", .ok,
                        "the application goes on writing: copies differ by what it writes within the skew"))
            return Section(subject: subject, checks: checks)
        } catch {
            let failure = Failure.wrapping(error)
            return Section(
                subject: subject,
                checks: [Check("settings", .failed, failure.summary, remedy: failure.hint, code: failure.code)])
        }
    }
}
