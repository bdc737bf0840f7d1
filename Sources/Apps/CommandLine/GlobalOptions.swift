// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import PlanFiles

/// Options of every command.
struct GlobalOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "A plan file, or a folder with salvor.yaml and plans/*.yaml.",
            discussion: "Default: $SALVOR_CONFIG, else \(PlanDirectory.standardPath).", valueName: "file|folder"))
    var config: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Where salvor keeps its own notes.", discussion: "Default: $SALVOR_STATE_DIR, else /var/lib/salvor.",
            valueName: "folder"))
    var stateDir: String?

    @Flag(name: .long, help: "Print one JSON document instead of text.")
    var json = false

    @Flag(name: .shortAndLong, help: "Print only results and errors.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Print details.")
    var verbose = false

    @Option(name: .long, help: "How to show progress: auto, json (lines on standard error), or none.")
    var progress: ProgressStyle = .auto
}

/// How progress is shown.
enum ProgressStyle: String, ExpressibleByArgument, CaseIterable, Sendable {
    case auto
    case json
    case none
}
