// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Foundation
import Glibc
import Reporting

/// The command `salvor`.
@main
struct Salvor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "salvor",
        abstract: "Back up databases and files, encrypted and proven, and get them back.",
        discussion: """
            A plan (YAML) names sources, a repository and recipients. 'salvor backup' captures every source into one signed \
            bundle; 'salvor validate-backup' proves it; 'salvor restore' stages it beside the live system, verifies it, and \
            promotes it with the old state kept.

            At 3 a.m.:
              salvor list-backups                  what there is
              salvor restore latest --dry-run      what a restore would do, without touching anything
              salvor restore latest                stage, verify, ask, promote
              salvor restore --rollback ID         put the old state back
            """,
        version: Versions.text,
        subcommands: [
            InitCommand.self, BackupCommand.self, ListCommand.self, ShowCommand.self, FindCommand.self,
            ValidateCommand.self, DrillCommand.self, RestoreCommand.self, SettleCommand.self, PruneCommand.self,
            SignersCommand.self, HoldCommand.self,
            ReleaseCommand.self, DeleteCommand.self, UndeleteCommand.self, StatusCommand.self, DoctorCommand.self,
            ReportCommand.self, ServeCommand.self, ListRunsCommand.self, TimersCommand.self, NotifyCommand.self,
            DiffCommand.self, ExportCommand.self,
            ImportCommand.self, DiscoverCommand.self, ConfigCommand.self, SchemaCommand.self, CompletionsCommand.self,
        ])

    /// The name as it is typed: `config check`.
    private static func fullName(of command: any ParsableCommand) -> String {
        let own = type(of: command)
        let above = configuration.subcommands.first { parent in
            parent.configuration.subcommands.contains { ObjectIdentifier($0) == ObjectIdentifier(own) }
        }
        return (above.map { $0._commandName + " " } ?? "") + own._commandName
    }

    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            try Versions.requireLoadedLibraries()
        } catch {
            Output.fail(Failure.wrapping(error), command: "salvor", isJSON: arguments.contains("--json"))
        }
        let name: String
        do {
            let command = try parseAsRoot(arguments)
            name = fullName(of: command)
        } catch {
            // Help and version are no errors; everything else is usage, which has one status in all of salvor.
            let message = fullMessage(for: error)
            guard exitCode(for: error).rawValue != 0 else {
                print(message)
                Foundation.exit(0)
            }
            let summary = Self.message(for: error).split(whereSeparator: \.isNewline).joined(separator: " ")
            // Nagios takes 2 for critical; a check that was not made is something else.
            if arguments.contains("--nagios") {
                let line = PluginLine(Failure(.usage, summary))
                print(line.text)
                Foundation.exit(line.state.rawValue)
            }
            guard !arguments.contains("--json") else {
                Output.fail(
                    Failure(.usage, summary, hint: "'salvor help COMMAND' tells what it takes."), command: "salvor",
                    isJSON: true)
            }
            FileHandle.standardError.write(Data((message + "\n").utf8))
            Foundation.exit(ExitStatus.usage.rawValue)
        }
        await Interruption.run(arguments, name: name, isJSON: arguments.contains("--json"))
    }
}

/// Runs a command as a task that SIGINT and SIGTERM cancel, so that children, snapshots and half-made things are cleaned
/// up before the process ends with the signal's status.
enum Interruption {
    static func run(_ arguments: [String], name: String, isJSON: Bool) async {
        // Parsed once more: a command cannot be handed from one task to another.
        let task = Task { try await Self.run(try Salvor.parseAsRoot(arguments)) }
        let sources = [(SIGINT, ExitStatus.interrupted), (SIGTERM, ExitStatus.terminated)].map { number, status in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                received.set(status)
                task.cancel()
            }
            source.resume()
            return source
        }
        defer { sources.forEach { $0.cancel() } }
        do {
            try await task.value
        } catch let exit as ExitCode {
            Foundation.exit(received.status?.rawValue ?? exit.rawValue)
        } catch  where exitCodeIsHelp(error) {
            print(Salvor.fullMessage(for: error))
        } catch {
            var failure = Failure.wrapping(error)
            if let status = received.status {
                failure = Failure(
                    Failure.Code("interrupted", status), "interrupted; what was half made has been removed",
                    hint: "Nothing was committed by this command after the signal.")
            }
            Output.fail(failure, command: name, isJSON: isJSON)
        }
    }

    private static func run(_ command: any ParsableCommand) async throws {
        guard var asynchronous = command as? any AsyncParsableCommand else {
            var synchronous = command
            return try synchronous.run()
        }
        try await asynchronous.run()
    }

    private static let received = ReceivedSignal()

    private static func exitCodeIsHelp(_ error: any Error) -> Bool {
        !(error is Failure) && !(error is CancellationError) && Salvor.exitCode(for: error).rawValue == 0
    }
}
