// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Encryption
import Foundation
import LocalState
import Operations
import PlanFiles
import Reporting
import Repository

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a plan's repository, or start a plan from an example.",
        discussion: """
            Tries what the store guarantees (conditional writes, listings), and writes the repository's description, the \
            public keys and the recovery instructions.

            With --generate-keys, salvor first makes what is missing: a signing key in this host's keyring, and for every \
            recipient 'file:PATH' whose file does not exist, a key pair. The public part goes to PATH; the private part and \
            a recovery sheet go to --recovery-directory. Move that folder off this host: who has it can read the backups, \
            and without it nobody can.

            A host whose plan says 'access: put-only' can read nothing of the repository: it is told. --hand-over writes what \
            it has to know into a file (no secret), making the repository first if there is none; run it where the plan and \
            its credentials may read. --accept, there, remembers what such a file says.

            With --from, salvor only writes a plan to change: one of the examples below, into the folder 'plans' of the \
            configuration (or to the file that --config names, when there is none). It holds references to secrets, never \
            secrets.

            \(PlanTemplates.names.map { "  \($0): \(PlanTemplates.summary($0) ?? "")" }.joined(separator: "\n"))

              salvor init --from postgresql-generations
              salvor config check
              salvor init --generate-keys --recovery-directory /media/usb/salvor-recovery
              salvor init --hand-over repository.json     (with all rights)
              salvor init --accept repository.json        (on the host that may only put)
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plan; may be left out when there is only one.")
    var plan: String?

    @Flag(help: "Make the keys that are missing.")
    var generateKeys = false

    @Option(help: ArgumentHelp("Where the private part of a new recipient's key goes.", valueName: "folder"))
    var recoveryDirectory: String?

    @Option(
        help: ArgumentHelp("Write what a host that may only put has to know of the repository.", valueName: "file"))
    var handOver: String?

    @Option(help: ArgumentHelp("Remember here what --hand-over wrote elsewhere.", valueName: "file"))
    var accept: String?

    @Option(
        name: .customLong("from"),
        help: ArgumentHelp(
            "Write a plan from this example, and nothing more; PLAN is its name then.", valueName: "stack"))
    var stack: String?

    /// A plan that was written.
    struct Started: Codable {
        var stack: String
        var plan: String
        var file: String
        /// Why this salvor cannot read it yet; nil: it can.
        var problem: String?
    }

    struct Result: Codable {
        var repository: String
        var descriptor: RepositoryDescriptor
        var generated: [GeneratedKeys.Made]
        /// What does not fit of the bucket's lock and the plan.
        var warnings: [Check]
    }

    func validate() throws {
        if accept != nil, handOver != nil || generateKeys {
            throw ValidationError("--accept stands alone.")
        }
    }

    func run() async throws {
        if let stack { return try await start(from: stack) }
        let session = try Session(global)
        let plan = try session.plan(plan)
        if let accept { return try await Handing.accept(accept, plan, session) }
        if let handOver, try await Handing.isMade(plan, session) {
            return try await Handing.write(handOver, plan, session)
        }
        var made: [GeneratedKeys.Made] = []
        if generateKeys {
            made = try await GeneratedKeys(plan: plan, recoveryDirectory: recoveryDirectory, host: session.host).make()
        }
        // Only here: a backup into a folder that is not there means a disk that is not mounted.
        if let folder = plan.repository.store.droppingPrefix("file://") { try StateDirectory(folder).create() }
        let repository = try await session.repository(plan)
        let lock = await Doctor(registry: session.registry, clock: session.clock).lockTerms(plan, repository).checks
        if let wrong = lock.first(where: { $0.state == .failed }) {
            throw Failure(.configuration, "\(wrong.name): \(wrong.detail)", hint: wrong.remedy)
        }
        let descriptor = try await repository.initialize(plan: plan, at: session.clock.now())
        if let handOver { try await Handing.write(handOver, plan, session, isQuiet: true) }
        let result = Result(
            repository: repository.location, descriptor: descriptor, generated: made,
            warnings: lock.filter { $0.state == .warning })
        try session.print(result, command: "init") {
            var lines = made.map { "made \($0.role) key \($0.fingerprint) (\($0.files.joined(separator: ", ")))" }
            lines.append("made repository \(descriptor.id) at \(repository.location)")
            lines.append("recipients: \(descriptor.recipients.joined(separator: ", "))")
            if descriptor.probe?.conditionalWrites == false {
                lines.append(
                    "warning: this store ignores conditional writes; salvor relies on its unique names instead")
            }
            lines += result.warnings.map { check in
                "warning: \(check.name): \(check.detail)" + (check.remedy.map { "; \($0)" } ?? "")
            }
            if let folder = recoveryDirectory, !made.isEmpty {
                lines.append("MOVE '\(folder)' off this host now: it holds the only key that opens the backups")
            }
            lines.append("next: salvor backup \(plan.name)")
            return lines.joined(separator: "\n")
        }
    }

    private func start(from stack: String) async throws {
        if let plan, !SafeName.isValid(plan) || plan == "latest" {
            throw Failure(.usage, "'\(plan)' is no name for a plan")
        }
        guard let text = PlanTemplates.text(stack, plan: plan) else {
            let nearest = NearestName.of(stack, among: PlanTemplates.names)
            throw Failure(
                .usage, "there is no example '\(stack)'",
                hint: nearest.map { "Did you mean '\($0)'?" }
                    ?? "There are: \(PlanTemplates.names.joined(separator: ", ")).")
        }
        let file = destination(named: plan ?? stack)
        try await PlanOutput.write(text, to: file)
        var started = Started(stack: stack, plan: plan ?? "", file: file)
        do { started.plan = try PlanCheck.read(text, file: file, factories: Adapters.all).name } catch {
            started.problem = Failure.wrapping(error).summary
        }
        try Output.result(started, command: "init", isJSON: global.json) {
            "wrote '\(file)' from '\(stack)'"
                + (started.problem.map { "\nchange this first: \($0)" } ?? "")
                + "\nnext: change what is yours in it, then salvor config check, then salvor init --generate-keys"
        }
    }

    /// Where the configuration is, or is to be.
    private func destination(named name: String) -> String {
        let path =
            global.config ?? ProcessInfo.processInfo.environment["SALVOR_CONFIG"] ?? PlanDirectory.standardPath
        let isFile = path.hasSuffix(".yaml") || path.hasSuffix(".yml")
        return isFile ? path : "\(path)/plans/\(name).yaml"
    }
}
