// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ByteStreams
import Discovery
import Domain
import Foundation
import PlanFiles
import Transports

struct DiscoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discover",
        abstract: "Propose a plan from what runs here.",
        discussion: """
            Looks at the sockets that servers of this host listen at, at the containers of docker and podman, and, when \
            kubectl answers, at pods; with --look-in also for SQLite databases in a folder. Prints a plan to look over: what \
            this salvor cannot protect is in it as a comment. Nothing is connected to, and nothing that holds secrets is \
            read (no environment, no command line, no configuration): where one is needed, the plan names a variable to set.

              salvor discover                                   what it would be
              salvor discover --look-in /srv/app --output /etc/salvor/plans/nightly.yaml
              salvor config check                               then look it over, and go on from there
            """)

    @OptionGroup var global: GlobalOptions

    @Option(
        name: .customLong("look-in"),
        help: ArgumentHelp(
            "A folder to propose as files, and to search for SQLite databases; may be given several times.",
            valueName: "folder"))
    var folders: [String] = []

    @Option(help: "The plan's name.")
    var name = "nightly"

    @Option(
        help: ArgumentHelp(
            "Write the plan to this file, which must not be there, instead of printing it.", valueName: "file"))
    var output: String?

    struct Result: Codable {
        var findings: [Finding]
        /// What could not be looked at.
        var notes: [String]
        var plan: String
        /// Where the plan was written to.
        var file: String?
    }

    func validate() throws {
        guard SafeName.isValid(name), name != "latest" else {
            throw ValidationError("'\(name)' is no name for a plan.")
        }
        for folder in folders where !folder.hasPrefix("/") {
            throw ValidationError("--look-in takes an absolute path, not '\(folder)'.")
        }
    }

    func run() async throws {
        let found = try await Discovery(transport: LocalTransport(), folders: folders).run()
        let proposed = ProposedPlan(name: name, findings: found.findings)
        let reading = ProposalCheck()
        let text = proposed.text { reading.problem($0.lines) }
        if let output { try await PlanOutput.write(text, to: output) }
        let result = Result(findings: found.findings, notes: found.notes, plan: text, file: output)
        if !global.quiet, !global.json { found.notes.forEach { Output.note("salvor: \($0)") } }
        try Output.result(result, command: "discover", isJSON: global.json) {
            guard let output else { return text.hasSuffix("\n") ? String(text.dropLast()) : text }
            return "wrote '\(output)': \(found.findings.count) found\nnext: look it over, then salvor config check"
        }
    }
}

/// Whether this salvor reads a source as it is proposed.
private struct ProposalCheck {
    /// nil: it does.
    func problem(_ lines: [String]) -> String? {
        let item = lines.enumerated().map { ($0.offset == 0 ? "  - " : "    ") + $0.element }.joined(separator: "\n")
        let plan = """
            plan: trial
            repository: {store: file:///trial}
            encryption: {recipients: ["file:/trial"]}
            sources:
            \(item)
            """
        do {
            _ = try PlanCheck.read(plan, file: "the proposal", factories: Adapters.all)
            return nil
        } catch {
            let failure = Failure.wrapping(error)
            // Places in a document that nobody sees help nobody.
            let parts = failure.summary.split(separator: ": ", maxSplits: 1)
            return parts.count == 2 && parts[0].hasPrefix("the proposal") ? String(parts[1]) : failure.summary
        }
    }
}

/// Reads a plan as `config check` does, its adapters' settings included, without reaching anything.
enum PlanCheck {
    @discardableResult
    static func read(_ text: String, file: String, factories: [any SourceAdapterFactory]) throws -> Plan {
        let plan = try PlanDirectory.read(text, file: file, adapters: factories.map(\.kind))
        let registry = AdapterRegistry(factories, secrets: NoSecretsYet(), clock: SystemClock()) { _ in LocalTransport()
        }
        for source in plan.sources { _ = try registry.adapter(source) }
        return plan
    }

    private struct NoSecretsYet: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String {
            throw Failure(.secretUnavailable, "nothing is resolved here")
        }
    }
}

/// Writes a plan where none is.
enum PlanOutput {
    /// - Throws: `Failure(.conflict)` when there is something already.
    static func write(_ text: String, to path: String) async throws {
        try await Blocking.run {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            do {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            } catch {
                throw Failure(.localInput, "unable to make the folder '\(folder)': \(error.localizedDescription)")
            }
            // 0600: whoever adds a secret to it later needs that.
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                let number = errno
                guard number == EEXIST else {
                    throw Failure(.localInput, "unable to create '\(path)': \(String(cString: strerror(number)))")
                }
                throw Failure(
                    .conflict, "'\(path)' is there already", hint: "Name another file, or move that one away.")
            }
            let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            try file.write(contentsOf: Data(text.utf8))
            try file.synchronize()
            try file.close()
        }
    }
}
