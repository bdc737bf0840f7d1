// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Operations

struct SettleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settle", abstract: "Remove the old state that a promoted restore kept.",
        discussion: """
            After this, 'salvor restore --rollback' is no longer possible for that restore. Needs neither the repository nor \
            a key.
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The restore's id; 'salvor restore --list' shows it.")
    var restore: String

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    func run() async throws {
        let session = try Session(global)
        let record = try session.records.load(restore)
        let plan = try session.plan(record.plan)
        try Confirmation.ask(
            "Remove the old state of restore \(restore) (\(record.sources.map(\.name).joined(separator: ", ")))?",
            yes: yes)
        let lock = try session.lock(plan)
        try await RestoreEnding(registry: session.registry, records: session.records, progress: session.progress)
            .settle(restore, plan: plan)
        withExtendedLifetime(lock) {}
        try session.print(try session.records.load(restore), command: "settle") {
            "settled restore \(restore): the old state is gone"
        }
    }
}
