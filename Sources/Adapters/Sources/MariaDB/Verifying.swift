// SPDX-License-Identifier: Apache-2.0
import Domain

/// Dumps the staged copies again and compares what is in them with what was captured.
struct Verifying {
    let server: Server
    let restore: SourceRestore
    let journal: any RestoreJournal
    let state: RestoreState

    func run() async throws -> [FactComparison] {
        let commands = DumpCommands(server: server, dump: try await server.dumpProgram())
        let catalog = Catalog(server: server)
        let choice = try RestoreChoice(restore)
        var (recorded, found) = (Facts(), Facts())
        for item in state.items {
            guard item.stage == .staged,
                let record = choice.databases.first(where: { $0.record.name == item.source })?.record
            else {
                throw Failure(
                    .restoreFailed, "the database '\(item.source)' is not staged", hint: "Stage the restore first.")
            }
            // Names of databases have no blank before the first dot or word of a fact, so prefixes tell them apart.
            for (name, value) in restore.contents.facts.values
            where name.hasPrefix("\(item.source).") || name.hasPrefix("\(item.source) ") { recorded[name] = value }
            let views = try await catalog.tables(item.staged).filter(\.isView).map(\.name)
            let program = commands.tables(item.staged, leavingOut: views, withPosition: false)
            let dumped = try await commands.run(
                program, DumpStream(nil, counts: true), about: "the staged copy '\(item.staged)'")
            found.values.merge(dumped.scanner.facts(of: item.source).values) { _, new in new }
            if record.hasPrograms {
                found.values.merge(try await catalog.programFacts(item.staged, as: item.source).values) { _, new in new
                }
            }
        }
        if choice.server.version != server.identity.number || choice.server.dumpVersion != commands.dump.version {
            // Another version words the same definition differently.
            await journal.note("definitions are not compared: the server or its programs are of another version")
            for facts in [recorded, found] {
                for name in facts.values.keys where name.hasSuffix(" definition") {
                    recorded[name] = nil
                    found[name] = nil
                }
            }
        }
        return recorded.compared(with: found)
    }
}
