// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Encryption
import LocalState
import Reporting
import Repository

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a plan's repository.",
        discussion: """
            Tries what the store guarantees (conditional writes, listings), and writes the repository's description, the \
            public keys and the recovery instructions.

            With --generate-keys, salvor first makes what is missing: a signing key in this host's keyring, and for every \
            recipient 'file:PATH' whose file does not exist, a key pair. The public part goes to PATH; the private part and \
            a recovery sheet go to --recovery-directory. Move that folder off this host: who has it can read the backups, \
            and without it nobody can.
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plan; may be left out when there is only one.")
    var plan: String?

    @Flag(help: "Make the keys that are missing.")
    var generateKeys = false

    @Option(help: ArgumentHelp("Where the private part of a new recipient's key goes.", valueName: "folder"))
    var recoveryDirectory: String?

    struct Result: Codable {
        var repository: String
        var descriptor: RepositoryDescriptor
        var generated: [GeneratedKeys.Made]
    }

    func run() async throws {
        let session = try Session(global)
        let plan = try session.plan(plan)
        var made: [GeneratedKeys.Made] = []
        if generateKeys {
            made = try await GeneratedKeys(plan: plan, recoveryDirectory: recoveryDirectory, host: session.host).make()
        }
        // Only here: a backup into a folder that is not there means a disk that is not mounted.
        if let folder = plan.repository.store.droppingPrefix("file://") { try StateDirectory(folder).create() }
        let repository = try await session.repository(plan)
        let descriptor = try await repository.initialize(plan: plan, at: session.clock.now())
        let result = Result(repository: repository.location, descriptor: descriptor, generated: made)
        try session.print(result, command: "init") {
            var lines = made.map { "made \($0.role) key \($0.fingerprint) (\($0.files.joined(separator: ", ")))" }
            lines.append("made repository \(descriptor.id) at \(repository.location)")
            lines.append("recipients: \(descriptor.recipients.joined(separator: ", "))")
            if descriptor.probe?.conditionalWrites == false {
                lines.append(
                    "warning: this store ignores conditional writes; salvor relies on its unique names instead")
            }
            if let folder = recoveryDirectory, !made.isEmpty {
                lines.append("MOVE '\(folder)' off this host now: it holds the only key that opens the backups")
            }
            lines.append("next: salvor backup \(plan.name)")
            return lines.joined(separator: "\n")
        }
    }
}
