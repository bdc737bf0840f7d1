// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Foundation
import Reporting
import Timers
import Transports

struct TimersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "timers", abstract: "Run plans by themselves: show, install or remove what a scheduler needs.",
        discussion: """
            From each plan's 'schedule', for systemd (services and timers), cron or Kubernetes.

              salvor timers show nightly                     what would be installed
              salvor timers install                          every plan's timers, enabled and started
              salvor timers remove nightly                   stopped and gone, whether the plan is still there or not
            """,
        subcommands: [ShowCommand.self, InstallCommand.self, RemoveCommand.self])

    /// Who runs the plans.
    enum Scheduler: String, ExpressibleByArgument, CaseIterable {
        case systemd, cron, kubernetes

        var folder: String {
            switch self {
            case .systemd, .kubernetes: SystemdControl.folder
            case .cron: "/etc/cron.d"
            }
        }
    }

    /// What is made, for whom.
    struct Making: ParsableArguments {
        @Option(help: "systemd, cron or kubernetes.")
        var format: Scheduler = .systemd

        @Option(
            name: .customLong("user"),
            help: ArgumentHelp("The account to run as. Default: root.", valueName: "name"))
        var user: String?

        @Option(help: ArgumentHelp("The salvor to run. Default: this one.", valueName: "file"))
        var program: String?

        @Option(help: "Kubernetes: the container image that has salvor.")
        var image = "salvor:\(Versions.salvor)"

        @Option(help: "Kubernetes: the namespace. Default: whichever is current.")
        var namespace: String?

        func validate() throws {
            // useradd(8), less capitals' warnings: nothing that means something in a unit or a crontab.
            if let user, user.isEmpty || !user.utf8.allSatisfy({ Self.isNameByte($0) }) || user.hasPrefix("-") {
                throw ValidationError("'\(user)' is no name of an account.")
            }
        }

        private static func isNameByte(_ byte: UInt8) -> Bool {
            (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
                || byte == 45 || byte == 95
        }

        func files(_ plan: Plan, _ session: Session) throws -> [ScheduleFile] {
            let scheduled = try ScheduledPlans(
                session: session, program: program, user: user, handsOver: format == .systemd
            ).make(plan)
            switch format {
            case .systemd: return SystemdUnits.files(scheduled)
            case .cron: return [try CronLines.file(scheduled)]
            case .kubernetes: return [try KubernetesCronJobs.file(scheduled, image: image, namespace: namespace)]
            }
        }
    }

    struct ShowCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Print what would be installed; change nothing.",
            discussion: "The output of '--format kubernetes' is for 'kubectl apply -f -'.")

        @OptionGroup var global: GlobalOptions
        @OptionGroup var making: Making

        @Argument(help: "The plans; none: every plan with a schedule.")
        var plans: [String] = []

        func run() async throws {
            let session = try Session(global)
            let files = try session.scheduled(plans).flatMap { try making.files($0, session) }
            try session.print(files, command: "timers show") {
                guard making.format != .kubernetes else { return files.map(\.text).joined(separator: "---\n") }
                return files.map { "# \(making.format.folder)/\($0.name)\n\($0.text)" }.joined(separator: "\n")
            }
        }
    }

    struct InstallCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "install", abstract: "Write the files and start the timers.",
            discussion: """
                Replaces what was installed before for the same plans, and nothing else: files that are not from salvor are \
                left alone, and if one is in the way nothing is written (status 4). With --directory the files are only \
                written.
                """)

        @OptionGroup var global: GlobalOptions
        @OptionGroup var making: Making

        @Option(help: ArgumentHelp("Write here, and start nothing.", valueName: "folder"))
        var directory: String?

        @Argument(help: "The plans; none: every plan with a schedule.")
        var plans: [String] = []

        func validate() throws {
            if making.format == .kubernetes, directory == nil {
                throw ValidationError(
                    "For Kubernetes: salvor timers show --format kubernetes | kubectl apply -f -, or --directory.")
            }
        }

        func run() async throws {
            let session = try Session(global)
            let chosen = try session.scheduled(plans)
            let files = try chosen.flatMap { try making.files($0, session) }
            let folder = ScheduleFolder(directory ?? making.format.folder)
            let manager =
                directory == nil && making.format == .systemd ? SystemdControl(session.transport) : nil
            try manager?.requireRunning()
            let names = files.map(\.name)
            // Jobs that a schedule has no longer. Plans of other configurations are left alone.
            let asked = plans.isEmpty ? session.plans.map(\.name) : plans
            let stale = try folder.files(of: asked).filter { !names.contains($0) }
            try folder.write(files)
            try await manager?.disable(stale.filter { $0.hasSuffix(".timer") })
            try folder.remove(stale)
            try await manager?.enable(names.filter { $0.hasSuffix(".timer") })
            let result = Result(folder: folder.path, written: names, removed: stale)
            try session.print(result, command: "timers install") { text(result, chosen, session) }
        }

        struct Result: Codable {
            var folder: String
            var written: [String]
            var removed: [String]
        }

        private func text(_ result: Result, _ plans: [Plan], _ session: Session) -> String {
            var lines = result.written.map { "wrote \(result.folder)/\($0)" }
            lines += result.removed.map { "removed \(result.folder)/\($0)" }
            let now = session.clock.now()
            for plan in plans {
                for job in Schedule.Job.allCases {
                    guard let next = plan.schedule?.next(job, after: now) else { continue }
                    lines.append("\(plan.name): next \(job.rawValue) \(TimeFormat.both(next))")
                }
            }
            return lines.joined(separator: "\n")
        }
    }

    struct RemoveCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Stop the timers and remove what 'install' wrote, and nothing else.",
            discussion: """
                Goes by the first line of the files, not by the configuration: plans that are gone can be named. A run that \
                is under way goes on to its end.
                """)

        @OptionGroup var global: GlobalOptions

        @Option(help: "systemd or cron; files for Kubernetes with --directory.")
        var format: Scheduler = .systemd

        @Option(help: ArgumentHelp("Remove here, and stop nothing.", valueName: "folder"))
        var directory: String?

        @Argument(help: "The plans; none: every plan that was ever installed.")
        var plans: [String] = []

        struct Result: Codable {
            var folder: String
            var removed: [String]
        }

        func run() async throws {
            let folder = ScheduleFolder(directory ?? format.folder)
            let names = try folder.files(of: plans.isEmpty ? nil : plans)
            let manager = directory == nil && format == .systemd ? SystemdControl(LocalTransport()) : nil
            if !names.isEmpty {
                try manager?.requireRunning()
                try await manager?.disable(names.filter { $0.hasSuffix(".timer") })
                try folder.remove(names)
                try await manager?.reload()
            }
            let result = Result(folder: folder.path, removed: names)
            try Output.result(result, command: "timers remove", isJSON: global.json) {
                names.isEmpty
                    ? "nothing to remove in \(folder.path)"
                    : names.map { "removed \(folder.path)/\($0)" }.joined(separator: "\n")
            }
        }
    }
}

extension Session {
    /// The named plans, which must have a schedule, or every plan that has one.
    fileprivate func scheduled(_ names: [String]) throws -> [Plan] {
        guard names.isEmpty else { return try names.map { try plan($0) } }
        let found = plans.filter { $0.schedule != nil }
        guard !found.isEmpty else {
            throw Failure(
                .nothingSelected, "no plan has a schedule",
                hint: "Add 'schedule: {calendar: \"*-*-* 02:00\"}' to a plan.")
        }
        return found
    }
}
