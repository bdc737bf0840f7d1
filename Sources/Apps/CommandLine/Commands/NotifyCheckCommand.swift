// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Channels
import Domain
import Notifications
import Operations
import Reporting

extension NotifyCommand {
    struct CheckCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Look for trouble that no run tells of, and tell it.",
            discussion: """
                For a timer, hourly say: plans whose last good bundle is too old, keys and certificates that end, a \
                repository that fills; and messages that wait are delivered. The same news is told once, then again after \
                each channel's 'remind'. Exit status 0 whatever was found ('salvor status' has one for that), 1 when a \
                channel failed, 7 or another one when the repository could not be looked at.
                """)

        @OptionGroup var global: GlobalOptions

        @Argument(help: "The plans; none: every plan.")
        var plans: [String] = []

        struct Result: Codable {
            var plan: String
            var findings: [Line]
            var deliveries: [Notifier.Delivery]
            /// Why the repository was not looked at.
            var problem: JSONError?

            struct Line: Codable {
                var event: NotificationEvent
                var since: Timestamp
                var what: [String]
            }
        }

        func run() async throws {
            let session = try Session(global)
            let chosen = try plans.isEmpty ? session.plans : plans.map { try session.plan($0) }
            var results: [Result] = []
            var failure: Failure?
            for plan in chosen {
                let (result, problem) = try await one(plan, session)
                results.append(result)
                failure = failure ?? problem
            }
            if failure == nil, results.contains(where: { $0.deliveries.contains { !$0.isDelivered } }) {
                failure = Failure(.notificationFailed, "a channel did not take a message")
            }
            try session.print(results, command: "notify check", failure: failure) { text(results) }
            if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
        }

        private func one(_ plan: Plan, _ session: Session) async throws -> (Result, Failure?) {
            let others = plan.repository.s3.endpoint.map { [(url: $0, caFile: plan.repository.s3.caFile)] } ?? []
            let certificates = await session.channels.certificates(
                plan, others: others.filter { $0.url.hasPrefix("https://") })
            let (history, dead) = try session.runs(plan)
            let check = NotificationCheck(clock: session.clock)
            var found: NotificationCheck.Result
            do {
                found = await check.run(
                    plan, try await session.repository(plan), history: history, certificates: certificates)
            } catch {
                found = check.withoutRepository(plan, history: history, failure: Failure.wrapping(error))
            }
            if let dead {
                found.assessment.findings += RunAssessment.of(dead, plan: plan, history: history).findings.filter {
                    $0.trouble == .run
                }
            }
            let deliveries = await session.notifier.found(found.assessment, plan: plan, lastGood: found.lastGood)
            let lines = found.assessment.findings.map {
                Result.Line(event: $0.event, since: $0.since, what: $0.what)
            }
            return (
                Result(
                    plan: plan.name, findings: lines, deliveries: deliveries, problem: found.failure.map(JSONError.init)
                ),
                found.failure
            )
        }

        private func text(_ results: [Result]) -> String {
            results.flatMap { result -> [String] in
                let told = result.deliveries.filter(\.isDelivered).count
                var lines = result.findings.map {
                    "\(result.plan): \($0.event.rawValue): \(PrintableText.of($0.what.joined(separator: "; ")))"
                }
                if let problem = result.problem { lines.append("\(result.plan): not looked at: \(problem.message)") }
                if lines.isEmpty { lines.append("\(result.plan): nothing to tell") }
                if told > 0 { lines.append("\(result.plan): \(told) messages delivered") }
                return lines
            }.joined(separator: "\n")
        }
    }
}
