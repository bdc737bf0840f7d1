// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import PlanFiles

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check or show the configuration.",
        subcommands: [CheckCommand.self, PrintCommand.self])

    struct CheckCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Read every plan strictly; reach nothing.",
            discussion: """
                A mistake is told with its file, line and the nearest word that would be right; status 2. Whether servers \
                and stores can be reached is for 'salvor doctor'.
                """)

        @OptionGroup var global: GlobalOptions

        struct Result: Codable {
            var plans: [String]
            var warnings: [String]
        }

        func run() async throws {
            let session = try Session(global)
            let result = Result(plans: session.plans.map(\.name), warnings: session.warnings)
            try session.print(result, command: "config check") {
                session.plans.map { "\($0.file): plan '\($0.name)' is good, \($0.sources.count) sources" }
                    .joined(separator: "\n")
            }
        }
    }

    struct PrintCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Print plans as understood, secrets redacted.",
            discussion: "What was left out appears with its default. The output is a plan again.")

        @OptionGroup var global: GlobalOptions

        @Argument(help: "The plan; none: every plan.")
        var plan: String?

        func run() async throws {
            let session = try Session(global)
            let plans = try plan.map { [try session.plan($0)] } ?? session.plans
            let texts = try plans.map { try ConfigPrinter.yaml($0) }
            try session.print(texts, command: "config show") { texts.joined(separator: "---\n") }
        }
    }
}
