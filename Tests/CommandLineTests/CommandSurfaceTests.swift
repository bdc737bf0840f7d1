// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Every command as it presents itself: help, one JSON envelope, completions.
@Suite("The face of every command")
struct CommandSurfaceTests {
    private struct Envelope: Decodable {
        struct Problem: Decodable { var code: String, message: String, hint: String? }
        /// Anything at all.
        struct Something: Decodable { init(from decoder: any Decoder) throws {} }
        var schema: String
        var command: String
        var at: String
        var result: Something?
        var error: Problem?
    }

    private func envelope(_ text: String) throws -> Envelope {
        try JSONDecoder().decode(Envelope.self, from: Data(text.utf8))
    }

    /// Names of the commands below `words`, as the help lists them.
    private func subcommands(_ salvor: SalvorProcess, _ words: [String]) async throws -> [[String]] {
        let help = try await salvor.run(words + ["--help"])
        #expect(help.status == 0)
        guard let list = help.output.range(of: "SUBCOMMANDS:\n") else { return [words] }
        var found: [[String]] = []
        for line in help.output[list.upperBound...].split(separator: "\n") {
            guard line.hasPrefix("  "), !line.hasPrefix("   "),
                let name = line.split(whereSeparator: { " ,".contains($0) }).first
            else { continue }
            // The last line is a sentence about help.
            guard name.first?.isLowercase == true else { continue }
            found += try await subcommands(salvor, words + [String(name)])
        }
        return found
    }

    @Test("every command's help says what it does, what its options mean, and shows how it is called")
    func help() async throws {
        let salvor = SalvorProcess([:])
        let commands = try await subcommands(salvor, [])
        let names = Set(commands.map { $0.joined(separator: " ") })
        for name in [
            "init", "backup", "list-backups", "show", "find", "validate-backup", "drill", "restore", "settle", "status",
            "doctor",
            "diff", "list-runs", "prune", "hold", "release", "delete", "undelete", "config check", "config show",
            "schema", "completions", "timers show", "timers install", "timers remove", "notify test", "notify pending",
            "notify flush", "notify check", "serve", "report", "signers list", "signers add",
        ] { #expect(names.contains(name), "\(name) is not listed") }
        for command in commands {
            let name = command.joined(separator: " ")
            let help = try await salvor.run(command + ["--help"])
            #expect(help.status == 0 && help.errors.isEmpty)
            let text = help.output
            #expect(text.contains("OVERVIEW: ") && text.contains("USAGE: salvor \(name)"), "\(name)")
            #expect(text.contains("--json"), "\(name) has no --json")
            // Beside the usage line, an example or an explanation in sentences.
            let overview = text.components(separatedBy: "USAGE:").first ?? ""
            #expect(overview.split(separator: "\n").count > 1, "\(name) teaches nothing: \(overview)")
            for line in text.split(separator: "\n") where line.hasPrefix("  -") {
                #expect(line.contains("  ") && line.count > 20 || line.count > 26, "\(name): \(line)")
            }
        }
    }

    @Test("every command answers --json with one envelope, also when it fails or was mistyped")
    func json() async throws {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write("plan.yaml", plan + "\nschedule: {calendar: daily}\n")
        try site.folder.write("etc/app.conf", "listen 80\n")
        try await site.ok(["backup"])
        try site.folder.write("etc/app.conf", "listen 81\n")
        try await site.ok(["restore", "latest", "--yes", "--no-safety-bundle"], as: site.owner)
        let restore = try #require(try await site.openRestores().first)
        try await site.ok(["backup"])
        let ids = try await site.bundles()
        let calls: [(String, [String])] = [
            ("backup", ["backup"]), ("list-backups", ["list-backups"]), ("show", ["show", "latest", "--facts"]),
            ("find", ["find", "app.conf"]), ("validate-backup", ["validate-backup", "latest"]),
            ("restore", ["restore", "latest", "--dry-run"]), ("restore", ["restore", "--list"]),
            ("restore", ["restore", "latest", "--to-directory", site.folder("out")]),
            ("restore", ["restore", "--rollback", restore, "--yes"]), ("status", ["status"]), ("doctor", ["doctor"]),
            ("diff", ["diff", ids[0], ids[1]]), ("config check", ["config", "check"]),
            ("config show", ["config", "show"]), ("schema", ["schema"]), ("schema", ["schema", "files"]),
            ("completions", ["completions", "bash"]), ("hold", ["hold", ids[1], "--reason", "x"]),
            ("release", ["release", ids[1]]), ("prune", ["prune"]), ("list-runs", ["list-runs"]),
            ("timers show", ["timers", "show"]), ("signers list", ["signers"]),
            ("timers install", ["timers", "install", "--directory", site.folder("units")]),
            ("timers remove", ["timers", "remove", "--directory", site.folder("units")]),
            ("notify pending", ["notify", "pending"]), ("notify flush", ["notify", "flush"]),
            ("notify check", ["notify", "check"]),
            ("report", ["report", "--html", site.folder("report.html")]),
        ]
        for (command, arguments) in calls {
            let outcome = try await site.owner.run(arguments + ["--json"])
            #expect(outcome.status == 0, "\(arguments): \(outcome.errors)\(outcome.output)")
            let envelope = try #require(try? envelope(outcome.output), "\(arguments): \(outcome.output)")
            #expect(
                envelope.schema == "salvor.\(command.replacing(" ", with: "-"))/1", "\(arguments): \(envelope.schema)")
            #expect(envelope.command == command && envelope.at.hasSuffix("Z"))
            #expect(envelope.result != nil && envelope.error == nil, "\(arguments)")
        }
        let failing: [(String, Int32, [String])] = [
            ("usage", 2, ["restore"]), ("usage", 2, ["backup", "--no-such-option"]), ("usage", 2, ["bakcup"]),
            ("object.exists", 6, ["init"]), ("restore.not-found", 5, ["settle", "zzzzzz", "--yes"]),
            ("plan.not-found", 5, ["backup", "weekly"]), ("usage", 2, ["schema", "oracle"]),
            ("preflight.refused", 4, ["restore", "latest"]), ("source.not-found", 5, ["backup", "--source", "x"]),
            ("selection.empty", 5, ["undelete", ids[1]]), ("usage", 2, ["notify", "test"]), ("usage", 2, ["serve"]),
        ]
        for (code, status, arguments) in failing {
            let outcome = try await site.owner.run(arguments + ["--json"])
            #expect(outcome.status == status, "\(arguments): \(outcome.errors)\(outcome.output)")
            let envelope = try #require(
                try? envelope(outcome.output), "\(arguments): \(outcome.output)\(outcome.errors)")
            #expect(envelope.error?.code == code && envelope.result == nil, "\(arguments): \(envelope)")
        }
    }

    @Test("work done in part gives a result and an error in one envelope, with the documented code")
    func partly() async throws {
        let site = try await Site.make(
            sources: """
                - {name: config, adapter: files, paths: [$DIR/etc]}
                - {name: search, adapter: sqlite, path: $DIR/search.db}
                """)
        try site.folder.write("etc/app.conf", "listen 80\n")
        let calls: [(String, Int32, [String])] = [
            ("backup.partial", 3, ["backup"]), ("problems.found", 10, ["status"]), ("problems.found", 10, ["doctor"]),
        ]
        for (code, status, arguments) in calls {
            let outcome = try await site.host.run(arguments + ["--json"])
            #expect(outcome.status == status)
            let envelope = try envelope(outcome.output)
            #expect(envelope.result != nil && envelope.error?.code == code, "\(arguments): \(outcome.output)")
        }
        let bundle = try #require(try await site.bundles().first)
        let manifest = try #require(
            FileManager.default.enumerator(atPath: site.folder("repo/bundles"))?.compactMap { $0 as? String }
                .first { $0.hasSuffix("segments.tsv") })
        try Data("x".utf8).write(to: URL(fileURLWithPath: site.folder("repo/bundles/\(manifest)")))
        let proof = try await site.host.run(["validate-backup", bundle, "--json"])
        #expect(proof.status == 8)
        #expect(try envelope(proof.output).error?.code == "integrity.damaged")
    }

    @Test("completions are scripts that the shell reads, and know every command")
    func completions() async throws {
        let salvor = SalvorProcess([:])
        for shell in ["bash", "zsh", "fish"] {
            let script = try await salvor.run(["completions", shell])
            #expect(script.status == 0)
            for name in ["list-backups", "validate-backup", "to-directory"] {
                #expect(script.output.contains(name), "\(shell) knows no \(name)")
            }
            guard shell == "bash" else { continue }
            let read = try await StockProgram.run("bash", ["-n"], input: Array(script.output.utf8))
            #expect(read.status == 0, "\(read.errors)")
        }
    }
}
