// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Operations
import Reporting

struct DiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Compare two bundles: facts, files and dumps; needs a decryption key.",
        discussion: """
            '+' is only in the second, '-' only in the first, '~' in both and different. For example:

              salvor diff 20261120 latest
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The older bundle.")
    var first: String

    @Argument(help: "The newer bundle.")
    var second: String

    @Option(help: "The plan whose repository to look in.")
    var plan: String?

    func run() async throws {
        let session = try Session(global)
        let plan = try session.plan(plan, for: first)
        let repository = try await session.repository(plan)
        let selection = BundleSelection(repository: repository)
        let changes = try await BundleDifference(repository: repository).run(
            try await selection.find(first, plan: plan.name), try await selection.find(second, plan: plan.name))
        try session.print(changes, command: "diff") {
            guard !changes.isEmpty else { return "no differences" }
            return changes.map { change in
                let sign = [.added: "+", .removed: "-", .changed: "~"][change.kind] ?? "~"
                let values = [change.before, change.after].compactMap { $0 }.joined(separator: " -> ")
                return
                    "\(sign) \(change.source)  \(PrintableText.of(change.what))\(values.isEmpty ? "" : "  \(values)")"
            }.joined(separator: "\n")
        }
    }
}
