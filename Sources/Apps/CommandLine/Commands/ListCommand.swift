// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Reporting

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list-backups", abstract: "List the bundles of a repository, oldest first.",
        discussion: "Shows what the manifests say without checking their signatures; 'show' and 'validate-backup' do.",
        aliases: ["list"])

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plan; none: every plan.")
    var plan: String?

    @Option(help: "Only the newest this many.")
    var last: Int?

    struct Entry: Codable {
        var id: String
        var manifest: Manifest?
        var error: JSONError?
    }

    func run() async throws {
        let session = try Session(global)
        let plans = try plan.map { [try session.plan($0)] } ?? session.plans
        guard !plans.isEmpty else { throw Failure(.planNotFound, "there is no plan") }
        var entries: [Entry] = []
        for plan in plans {
            let repository = try await session.repository(plan)
            _ = try await repository.descriptor()
            for (id, manifest) in try await repository.summaries(plan: plan.name) {
                switch manifest {
                case .success(let manifest): entries.append(Entry(id: id.text, manifest: manifest))
                case .failure(let failure): entries.append(Entry(id: id.text, error: JSONError(failure)))
                }
            }
        }
        entries.sort { $0.id < $1.id }
        if let last { entries = Array(entries.suffix(max(0, last))) }
        let now = session.clock.now()
        try session.print(entries, command: "list-backups") {
            guard !entries.isEmpty else { return "no bundles yet; make one with 'salvor backup'" }
            var table = TextTable([
                .init("BUNDLE"), .init("AGE", .right), .init("STATE"), .init("AS"), .init("RAW", .right),
                .init("STORED", .right),
            ])
            for entry in entries {
                guard let manifest = entry.manifest else {
                    table.add([entry.id, "", "DAMAGED", "", "", ""])
                    continue
                }
                let storages = Set(manifest.sources.flatMap(\.streams).map(\.storage))
                table.add([
                    entry.id, DurationFormat.text(now.seconds(since: manifest.started)), manifest.state.rawValue,
                    storages == [.full] ? "full" : "changes", ByteFormat.text(manifest.rawBytes),
                    ByteFormat.text(manifest.storedBytes),
                ])
            }
            return table.text()
        }
    }
}
