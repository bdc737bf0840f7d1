// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Operations
import Reporting

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list-backups", abstract: "List the bundles of a repository, oldest first.",
        discussion: """
            Shows what manifests say and what the names of proof records claim, without checking a signature: whoever can \
            write to the store can write those. With --verify both are checked, at two small reads for each; 'show', \
            'status' and 'validate-backup' always check, and a restore believes neither.
            """,
        aliases: ["list"])

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plan; none: every plan.")
    var plan: String?

    @Flag(name: .customLong("all"), help: "Bundles of every plan in the repository, those of other hosts included.")
    var all = false

    @Option(help: "Only the newest this many.")
    var last: Int?

    @Flag(help: "Check the signatures of the listed manifests and proof records.")
    var verify = false

    struct Entry: Codable {
        var id: String
        var manifest: Manifest?
        var proof: ProofStanding?
        var error: JSONError?
    }

    func run() async throws {
        let session = try Session(global)
        let plans = try plan.map { [try session.plan($0)] } ?? session.plans
        guard !plans.isEmpty else { throw Failure(.planNotFound, "there is no plan") }
        let now = session.clock.now()
        var found: [(summary: BundleSummary, repository: any BundleRepository)] = []
        var locations: Set<String> = []
        for plan in plans {
            let repository = try await session.repository(plan)
            _ = try await repository.descriptor()
            // Several plans may be in one repository.
            if all, !locations.insert(repository.location).inserted { continue }
            for summary in try await repository.summaries(plan: all ? nil : plan.name) {
                found.append((summary, repository))
            }
        }
        found.sort { $0.summary.id < $1.summary.id }
        if let last { found = Array(found.suffix(max(0, last))) }
        var entries: [Entry] = []
        for (summary, repository) in found { entries.append(try await entry(summary, repository, now)) }
        try session.print(entries, command: "list-backups") { text(entries, now) }
    }

    private func entry(
        _ summary: BundleSummary, _ repository: any BundleRepository, _ now: Timestamp
    ) async throws -> Entry {
        let id = summary.id.text
        do {
            let manifest = try summary.manifest.get()
            guard verify else {
                return Entry(
                    id: id, manifest: manifest, proof: .claimed(summary.claims, of: summary.id, at: now))
            }
            let signed = try await repository.manifest(summary.id)
            return Entry(
                id: id, manifest: signed.manifest, proof: try await repository.standing(of: signed, at: now).standing)
        } catch let failure as Failure where [.integrity, .notFound, .key].contains(failure.code.exitStatus) {
            return Entry(id: id, error: JSONError(failure))
        }
    }

    private func text(_ entries: [Entry], _ now: Timestamp) -> String {
        guard !entries.isEmpty else { return "no bundles yet; make one with 'salvor backup'" }
        var table = TextTable([
            .init("BUNDLE"), .init("AGE", .right), .init("AS"), .init("RAW", .right), .init("STORED", .right),
            .init(verify ? "PROVEN" : "CLAIMED"),
        ])
        for entry in entries {
            guard let manifest = entry.manifest else {
                let isNewer = entry.error?.code == Failure.Code.formatTooNew.text
                table.add([entry.id, "", isNewer ? "NEWER FORMAT" : "DAMAGED", "", "", ""])
                continue
            }
            let storages = Set(manifest.sources.flatMap(\.streams).map(\.storage))
            table.add([
                entry.id, DurationFormat.short(now.seconds(since: manifest.started)),
                manifest.state == .partial ? "PARTIAL" : storages == [.full] ? "full" : "changes",
                ByteFormat.text(manifest.rawBytes), ByteFormat.text(manifest.storedBytes),
                ProofFormat.short(entry.proof, at: now),
            ])
        }
        return table.text()
    }
}
