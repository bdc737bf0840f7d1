// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Operations

/// What the commands that mark one bundle share.
struct MarkOptions: ParsableArguments {
    @OptionGroup var global: GlobalOptions

    @Argument(help: "Id, unique beginning of one, latest, or latest:PLAN.")
    var bundle: String

    @Option(help: "The plan whose repository to look in.")
    var plan: String?

    /// Finds the bundle, lets `body` mark it, and prints the record.
    func mark(
        _ command: String, reason: String,
        _ body: (RetentionMarks, BundleID, RetentionMarks.Request) async throws -> RetentionRecord,
        text: (RetentionRecord, Plan) -> String
    ) async throws {
        let session = try Session(global)
        let plan = try session.plan(plan, for: bundle)
        let repository = try await session.retention(plan)
        _ = try await repository.descriptor()
        let id = try await BundleSelection(repository: repository).find(bundle, plan: plan.name)
        guard id.plan == plan.name else {
            throw Failure(.usage, "\(id) is of plan '\(id.plan)'", hint: "Add --plan \(id.plan).")
        }
        let record = try await body(
            RetentionMarks(repository: repository, clock: session.clock), id,
            RetentionMarks.Request(
                plan: plan, reason: reason, host: session.host, tool: Session.tool))
        try session.print(record, command: command) { text(record, plan) }
    }
}

struct HoldCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Protect a bundle from every removal until it is released.",
        discussion: "What it refers to stays with it. The reason is kept, signed and unencrypted, in the repository.")

    @OptionGroup var options: MarkOptions

    @Option(help: "Why, for whoever asks later.")
    var reason: String

    func run() async throws {
        try await options.mark("hold", reason: reason) {
            try await $0.hold($1, $2)
        } text: { record, _ in
            "\(record.bundle) is held: \(record.reason)"
        }
    }
}

struct ReleaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "End the hold of a bundle.",
        discussion:
            "Nothing is removed by this: the plan's retention decides about the bundle again, with its grace time.")

    @OptionGroup var options: MarkOptions

    @Option(help: "Why, for whoever asks later.")
    var reason = ""

    func run() async throws {
        try await options.mark("release", reason: reason) {
            try await $0.release($1, $2)
        } text: { record, _ in
            "\(record.bundle) is held no longer; the plan's retention decides about it"
        }
    }
}

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Mark a bundle for removal, whatever the policy says.",
        discussion: """
            Nothing is removed yet: 'salvor prune --apply' does that once the grace time is over, and 'salvor undelete' takes \
            it back until then. Refused for a bundle that is held, that others refer to, or without which too few good ones \
            would stay.
            """)

    @OptionGroup var options: MarkOptions

    @Option(help: "Why, for whoever asks later.")
    var reason = ""

    func run() async throws {
        try await options.mark("delete", reason: reason) {
            try await $0.delete($1, $2)
        } text: { record, plan in
            let grace = plan.policy?.grace ?? RetentionPolicy.standardGrace
            return """
                \(record.bundle) is deleted: 'salvor prune --apply' removes it from \
                \(Timestamp(seconds: record.at.seconds + Int64(grace))) on
                  take it back:  salvor undelete \(record.bundle)
                """
        }
    }
}

struct UndeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undelete", abstract: "Keep a bundle after all that was deleted or marked by a prune.",
        discussion:
            "What a policy marked, it marks again with its next prune, with a new grace time; 'salvor hold' lasts.")

    @OptionGroup var options: MarkOptions

    @Option(help: "Why, for whoever asks later.")
    var reason = ""

    func run() async throws {
        try await options.mark("undelete", reason: reason) {
            try await $0.undelete($1, $2)
        } text: { record, _ in
            "\(record.bundle) stays"
        }
    }
}
