// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Notifications

extension Doctor {
    /// Whether a plan's channels answer, and whether messages wait or were lost. Sends nothing that anybody would see.
    public func channels(
        _ plan: Plan, sender: any NotificationSender, memory: any NotificationMemory
    ) async -> Section? {
        guard !plan.channels.isEmpty else { return nil }
        var checks: [Check] = await withTaskGroup(of: (Int, Check).self) { group in
            for (index, channel) in plan.channels.enumerated() {
                group.addTask { (index, await sender.probe(channel)) }
            }
            return await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
        do {
            let messages = try memory.outgoing(plan: plan.name)
            let (lost, waiting) = (messages.filter(\.isLost), messages.filter { !$0.isLost })
            if let first = waiting.first {
                checks.append(
                    Check(
                        "undelivered messages", .warning,
                        "\(waiting.count), the oldest of \(first.message.at) for '\(first.channel)'"
                            + (first.problem.map { ": \($0.message)" } ?? ""),
                        remedy: "Mend the channel, then run 'salvor notify flush \(plan.name)'."))
            }
            if let last = lost.last {
                checks.append(
                    Check(
                        "lost messages", .warning,
                        "\(lost.count), the newest of \(last.message.at) for '\(last.channel)'"
                            + (last.problem.map { ": \($0.message)" } ?? ""),
                        remedy: "Read them with 'salvor notify pending \(plan.name)'."))
            }
        } catch {
            let failure = Failure.wrapping(error)
            checks.append(Check("undelivered messages", .warning, failure.summary, remedy: failure.hint))
        }
        return Section(subject: "plan \(plan.name): channels", checks: checks)
    }
}
