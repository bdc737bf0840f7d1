// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Operations
import Reporting

struct ShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one bundle, its signature and those of its proof records checked.",
        discussion: "With --facts, also what was counted at capture; that needs a decryption key.")

    @OptionGroup var global: GlobalOptions

    @Argument(help: "Id, unique beginning of one, latest, or latest:PLAN.")
    var bundle: String

    @Option(help: "The plan whose repository to look in.")
    var plan: String?

    @Flag(help: "Also decrypt and show facts and notices.")
    var facts = false

    struct Result: Codable {
        var manifest: Manifest
        var proof: ProofStanding
        var unbelieved: [UnbelievedProof]
        var sources: [Contents.Source]?
        /// Sources whose facts no key here opens.
        var sealed: [String]?
    }

    func run() async throws {
        let session = try Session(global)
        let plan = try session.plan(plan, for: bundle)
        let repository = try await session.repository(plan)
        let id = try await BundleSelection(repository: repository).find(bundle, plan: plan.name)
        let signed = try await repository.manifest(id)
        let now = session.clock.now()
        let (standing, unbelieved) = try await repository.standing(of: signed, at: now)
        var result = Result(manifest: signed.manifest, proof: standing, unbelieved: unbelieved)
        if facts {
            let opened = try await repository.open(id)
            (result.sources, result.sealed) = (opened.contents.sources, opened.sealed.keys.sorted())
        }
        try session.print(result, command: "show") { text(result, repository.location, now) }
    }

    private func previous(_ manifest: Manifest) -> String {
        if let previous = manifest.previous { return previous.id.text }
        return manifest.access == .putOnly
            ? "none: a chain begins here, made by a host that may only put and did not know an older bundle" : "none"
    }

    private func text(_ result: Result, _ location: String, _ now: Timestamp) -> String {
        let manifest = result.manifest
        var lines = [
            "bundle      \(manifest.id)", "in          \(location)", "plan        \(manifest.plan)",
            "host        \(manifest.host)", "made by     \(manifest.tool)",
            "taken       \(TimeFormat.both(manifest.started))",
            "took        \(DurationFormat.text(manifest.finished.seconds(since: manifest.started)))",
            "state       \(manifest.state.rawValue)",
            "signature   good, by \(manifest.signer)",
            "recipients  \(manifest.recipients.joined(separator: ", "))",
        ]
        lines += manifest.sources.compactMap { source in
            source.recipients.map { "            source \(source.name): only \($0.joined(separator: ", "))" }
        }
        lines.append("previous    \(previous(manifest))")
        let proofs = ProofFormat.lines(result.proof, at: now)
        lines += (proofs.isEmpty ? ["nothing recorded; made with 'prove: \(manifest.proof.rawValue)'"] : proofs)
            .map { "proven      \($0)" }
        lines += result.unbelieved.map { "no proof    \(PrintableText.of($0.reason))" }
        if let origin = manifest.origin {
            lines.append("imported    from \(origin.id), repository \(PrintableText.of(origin.repository))")
            lines.append(
                "            at \(TimeFormat.both(origin.imported)), by an export that \(origin.signer) signed")
        }
        if !manifest.tags.isEmpty { lines.append("tags        \(manifest.tags.joined(separator: ", "))") }
        if !manifest.comment.isEmpty { lines.append("comment     \(PrintableText.of(manifest.comment))") }
        var table = TextTable([
            .init("SOURCE"), .init("STREAM"), .init("AS"), .init("BASE", narrowest: 12), .init("RAW", .right),
            .init("STORED", .right),
        ])
        for source in manifest.sources {
            for stream in source.streams {
                table.add([
                    source.name, stream.name, stream.storage.rawValue, stream.base?.text ?? "-",
                    ByteFormat.text(stream.rawBytes), ByteFormat.text(stream.storedBytes),
                ])
            }
            if source.state == .failed { table.add([source.name, "-", "FAILED", source.failure ?? "", "", ""]) }
        }
        lines += ["", table.text()]
        let group = GroupText.details(manifest)
        if !group.isEmpty { lines += [""] + group }
        for source in result.sources ?? [] {
            lines += ["", "\(source.name): \(source.engine)\(source.position.map { ", at \($0)" } ?? "")"]
            lines += source.facts.values.sorted { $0.key < $1.key }.map { "  \(PrintableText.of($0.key)): \($0.value)" }
            lines += source.notices.map { "  notice: \(PrintableText.of($0))" }
        }
        lines += (result.sealed ?? []).flatMap { ["", "\($0): no key here opens it"] }
        return lines.joined(separator: "\n")
    }
}
