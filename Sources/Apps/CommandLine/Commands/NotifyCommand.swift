// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import LocalState
import Notifications
import Operations
import PlanFiles
import Reporting

struct NotifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "notify", abstract: "Try out, look at and deliver notifications.",
        subcommands: [TestCommand.self, PendingCommand.self, FlushCommand.self, CheckCommand.self])

    struct TestCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "test", abstract: "Send a marked test message through each channel.",
            discussion: """
                Exit status 1 when any channel did not take it. PagerDuty's test incident is resolved at once; a ping tells \
                its switch that all is well.

                  salvor notify test
                  salvor notify test email --plan nightly
                """)

        @OptionGroup var global: GlobalOptions

        @Argument(help: "The channel's name or kind; none: every channel.")
        var channel: String?

        @Option(help: "The plan; none: every plan that has channels.")
        var plan: String?

        func run() async throws {
            let session = try Session(global)
            var plans = try plan.map { [try session.plan($0)] } ?? session.plans.filter { !$0.channels.isEmpty }
            if plans.isEmpty { plans = Array(session.plans.prefix(1)) }
            if plan == nil, let channel, plans.count > 1 {
                // The others simply have no such channel.
                let having = plans.filter { $0.channels.contains { [$0.name, $0.kind.name].contains(channel) } }
                if !having.isEmpty { plans = having }
            }
            var deliveries: [Notifier.Delivery] = []
            for plan in plans {
                deliveries += try await session.notifier.test(plan, channel: channel, lastGood: session.lastGood(plan))
            }
            try NotifyCommand.print(deliveries, session, command: "notify test", nothing: "there is no channel")
        }
    }

    struct PendingCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "pending", abstract: "Show messages that wait for delivery, and those that were lost.",
            discussion: "Later runs of the plan, 'salvor notify flush' and 'salvor notify check' deliver what waits.")

        @OptionGroup var global: GlobalOptions

        @Argument(help: "The plans; none: every plan.")
        var plans: [String] = []

        func run() async throws {
            let session = try Session(global)
            let chosen = try plans.isEmpty ? session.plans : plans.map { try session.plan($0) }
            let messages = try chosen.flatMap { try session.notifications.outgoing(plan: $0.name) }
            try session.print(messages, command: "notify pending") {
                guard !messages.isEmpty else { return "no message waits" }
                var table = TextTable([
                    .init("PLAN", narrowest: 8), .init("CHANNEL"), .init("EVENT"), .init("MADE", narrowest: 20),
                    .init("TRIED", .right), .init("NEXT", narrowest: 8),
                ])
                for message in messages {
                    table.add([
                        message.message.plan, message.channel, message.message.event.rawValue,
                        message.message.at.description, "\(message.attempts)",
                        message.isLost ? "LOST" : message.due.description,
                    ])
                }
                let reasons = messages.compactMap { message in
                    message.problem.map { "\(message.channel): \(PrintableText.of($0.message))" }
                }
                var seen: Set<String> = []
                return ([table.text()] + reasons.filter { seen.insert($0).inserted }).joined(separator: "\n")
            }
        }
    }

    struct FlushCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "flush", abstract: "Deliver now what waits, due or not.",
            discussion: "Exit status 1 when a channel did not take a message; it waits on then.")

        @OptionGroup var global: GlobalOptions

        @Argument(help: "The plans; none: every plan.")
        var plans: [String] = []

        func run() async throws {
            let session = try Session(global)
            let chosen = try plans.isEmpty ? session.plans : plans.map { try session.plan($0) }
            var deliveries: [Notifier.Delivery] = []
            for plan in chosen { deliveries += await session.notifier.deliver(plan, isForced: true) }
            try NotifyCommand.print(deliveries, session, command: "notify flush", nothing: "no message waits")
        }
    }

    /// A line for each delivery, and the failure when there was one.
    static func print(
        _ deliveries: [Notifier.Delivery], _ session: Session, command: String, nothing: String
    ) throws {
        let failed = deliveries.filter { !$0.isDelivered }
        let failure =
            failed.isEmpty
            ? nil
            : Failure(
                .notificationFailed, "\(failed.count) of \(deliveries.count) deliveries failed",
                hint: "The result has the reason of each.")
        try session.print(deliveries, command: command, failure: failure) {
            guard !deliveries.isEmpty else { return nothing }
            return deliveries.flatMap { delivery in
                let mark = delivery.isDelivered ? "ok    " : "FAILED"
                return ["\(mark)  \(delivery.plan)/\(delivery.channel): \(PrintableText.of(delivery.detail))"]
                    + [delivery.hint].compactMap { $0 }.map { "          \($0)" }
            }.joined(separator: "\n")
        }
        if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
    }
}
