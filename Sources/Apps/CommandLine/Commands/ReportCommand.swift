// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Monitoring
import Operations
import Reporting

struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write one page about all plans, to mail or to archive.",
        discussion: """
            The page is complete in itself: calendar of bundles with their proof, sizes, durations, sources and last runs; no \
            scripts, and nothing is fetched from anywhere. A repository that does not answer is part of the report. How far \
            bundles of the calendar are proven is what their records' names claim; 'list-backups --verify' checks all.
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plans; none: every plan.")
    var plans: [String] = []

    @Option(help: ArgumentHelp("The file to write; - is standard output.", valueName: "file"))
    var html: String

    @Option(help: ArgumentHelp("How long a repository may take to answer.", valueName: "seconds"))
    var timeout = 120

    struct Result: Codable {
        var file: String
        var bytes: Int
        var problems: Int
    }

    func validate() throws {
        guard (1...86_400).contains(timeout) else { throw ValidationError("--timeout must be from 1 to 86400.") }
        if html == "-", global.json { throw ValidationError("--json needs --html to name a file.") }
    }

    func run() async throws {
        let session = try Session(global)
        let chosen = try plans.isEmpty ? session.plans : plans.map { try session.plan($0) }
        let limit = Duration.seconds(timeout)
        var reports: [PlanReport] = []
        for (plan, entry) in zip(chosen, await session.status(chosen, limit: limit)) {
            reports.append(
                await PlanReport.read(
                    entry, history: session.history(plan), at: session.clock.now(), limit: limit,
                    repository: { try await session.repository(plan) }))
        }
        try Task.checkCancellation()
        let page = try HTMLReport.render(
            reports, host: session.host, version: Versions.salvor, at: session.clock.now())
        guard html != "-" else { return print(page, terminator: "") }
        try WholeFile.report(html).write(page)
        let problems = reports.reduce(0) { $0 + $1.status.problems.count }
        try session.print(Result(file: html, bytes: page.utf8.count, problems: problems), command: "report") {
            "wrote \(html), \(ByteFormat.text(UInt64(page.utf8.count)))"
        }
    }
}
