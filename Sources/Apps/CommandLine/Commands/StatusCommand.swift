// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Operations
import PlanFiles
import Reporting

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tell whether every plan has the bundle it should have.",
        discussion: "Exit status 10 when any plan is out of its objective, so that any monitor can call it.")

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plans; none: every plan.")
    var plans: [String] = []

    func run() async throws {
        let session = try Session(global)
        let chosen = try plans.isEmpty ? session.plans : plans.map { try session.plan($0) }
        var entries: [Status.Entry] = []
        for plan in chosen {
            entries.append(
                await Status(clock: session.clock).entry(plan, try await session.repository(plan)))
        }
        let now = session.clock.now()
        let count = entries.reduce(0) { $0 + $1.problems.count }
        let failure = count == 0 ? nil : Failure(.problemsFound, "\(count) problems were found")
        try session.print(entries, command: "status", failure: failure) {
            var table = TextTable([
                .init("PLAN", narrowest: 8), .init("LAST GOOD", narrowest: 20), .init("AGE", .right),
                .init("OBJECTIVE", .right), .init("PROVEN"), .init("STATE"),
            ])
            for entry in entries {
                table.add([
                    entry.plan, entry.lastGood?.text ?? "none",
                    entry.ageSeconds.map { DurationFormat.short(Double($0)) } ?? "-",
                    entry.objectiveSeconds.map(PlanDuration.text) ?? "-", ProofFormat.short(entry.proof, at: now),
                    entry.problems.isEmpty ? "ok" : "PROBLEM",
                ])
            }
            return
                ([table.text()]
                + entries.flatMap { entry in entry.problems.map { "\(entry.plan): \(PrintableText.of($0))" } })
                .joined(separator: "\n")
        }
        if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
    }
}
