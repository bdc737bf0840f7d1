// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Monitoring
import Operations
import Reporting

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tell whether every plan has the bundle it should have.",
        discussion: """
            Exit status 10 when any plan is out of its objective or something is wrong, so that any monitor can call it. \
            With --nagios it is 0, 1, 2 or 3, as Nagios and its kin expect: 1 for warnings, 2 for what is wrong, 3 when the \
            check could not be made.
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plans; none: every plan.")
    var plans: [String] = []

    @Flag(help: "Print one line with performance data, for Nagios and its kin.")
    var nagios = false

    @Option(
        help: ArgumentHelp(
            "Also write metrics for Prometheus's node exporter to this file; - prints them instead of the table.",
            valueName: "file"))
    var metricsFile: String?

    @Option(help: ArgumentHelp("How long a repository may take to answer; with --nagios 30.", valueName: "seconds"))
    var timeout: Int?

    func validate() throws {
        if let timeout, !(1...86_400).contains(timeout) { throw ValidationError("--timeout must be from 1 to 86400.") }
        if nagios, global.json || metricsFile == "-" {
            throw ValidationError("--nagios stands alone: it prints one line.")
        }
    }

    func run() async throws {
        guard nagios else { return try await report() }
        let line: PluginLine
        do {
            let entries = try await entries(try Session(global))
            line = PluginLine(entries.found)
        } catch {
            line = PluginLine(Failure.wrapping(error))
        }
        print(line.text)
        throw ExitCode(line.state.rawValue)
    }

    private func report() async throws {
        let (session, entries) = try await entries(try Session(global))
        let count = entries.reduce(0) { $0 + $1.problems.count }
        let failure = count == 0 ? nil : Failure(.problemsFound, "\(count) problems were found")
        try session.print(entries, command: "status", failure: failure) {
            metricsFile == "-" && !global.json
                ? String(session.metrics(entries).dropLast()) : StatusText.of(entries, at: session.clock.now())
        }
        if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
    }

    /// Finds out, and writes the file, if one is asked for.
    private func entries(_ session: Session) async throws -> (session: Session, found: [Status.Entry]) {
        let chosen = try plans.isEmpty ? session.plans : plans.map { try session.plan($0) }
        let limit = timeout ?? (nagios ? 30 : nil)
        let entries = await session.status(chosen, limit: limit.map { .seconds($0) })
        try Task.checkCancellation()
        if let metricsFile, metricsFile != "-" { try WholeFile.metrics(metricsFile).write(session.metrics(entries)) }
        return (session, entries)
    }
}
