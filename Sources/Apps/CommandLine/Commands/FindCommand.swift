// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Operations
import Reporting

struct FindCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "find", abstract: "Look for files in bundles; needs a decryption key.",
        discussion: "PATTERN is a part of a path, or with '*' or '?' a whole path ('*' also stands for slashes).")

    @OptionGroup var global: GlobalOptions

    @Argument(help: "A part of a path, or a pattern.")
    var pattern: String

    @Option(help: "The bundle to look in; default: all of the plan.")
    var bundle: String?

    @Option(help: "The plan whose repository to look in.")
    var plan: String?

    func run() async throws {
        let session = try Session(global)
        let plan = try session.plan(plan, for: bundle ?? "")
        let repository = try await session.repository(plan)
        let bundles =
            if let bundle {
                [try await BundleSelection(repository: repository).find(bundle, plan: plan.name)]
            } else { try await repository.bundles(plan: plan.name) }
        let (matches, sealed) = try await Find(repository: repository).run(pattern, in: bundles)
        for source in sealed.sorted() { Output.note("source '\(source)' was not searched: no key here opens it") }
        guard !matches.isEmpty else {
            throw Failure(.nothingSelected, "nothing matches '\(pattern)' in \(bundles.count) bundles")
        }
        try session.print(matches, command: "find") {
            var table = TextTable([
                .init("BUNDLE"), .init("SOURCE"), .init("SIZE", .right), .init("MODIFIED"),
                .init("PATH", narrowest: 30),
            ])
            for match in matches {
                table.add([
                    match.bundle.text, match.source, ByteFormat.text(match.size), TimeFormat.local(match.modified),
                    match.path,
                ])
            }
            return table.text(width: 160)
        }
    }
}
