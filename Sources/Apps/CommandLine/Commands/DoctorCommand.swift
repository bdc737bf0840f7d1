// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Foundation
import LocalState
import Operations
import Reporting

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Look for what would make a backup or a restore fail, with remedies.",
        discussion: """
            Only reads, with one exception: an application that a killed backup has left paused is resumed. Exit status 10 \
            when something is wrong.
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plans; none: every plan.")
    var plans: [String] = []

    private static func folders(_ session: Session) -> [Doctor.Folder] {
        let temporary = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/var/tmp"
        return [
            Doctor.Folder(
                name: "state directory", path: session.state.path, room: DiskRoom.free(session.state.path),
                remedy: "Make room, name another with --state-dir, or do without base copies (local-base: off)."),
            Doctor.Folder(
                name: "temporary directory", path: temporary, room: DiskRoom.free(temporary),
                remedy: "Make room, or set TMPDIR to a larger disk."),
        ]
    }

    func run() async throws {
        let session = try Session(global)
        let chosen = try plans.isEmpty ? session.plans : plans.map { try session.plan($0) }
        // First of all: an application that is paused waits.
        var paused: [Check] = []
        for plan in chosen { paused += await HostChecks.paused(plan, session) }
        var sections: [Doctor.Section] = []
        let folders = Self.folders(session)
        for plan in chosen {
            do {
                let repository = try await session.repository(plan)
                let doctor = Doctor(registry: session.registry, clock: session.clock, folders: folders)
                sections += await doctor.run(plan, repository)
                let channels = await doctor.channels(plan, sender: session.channels, memory: session.notifications)
                sections += [channels, doctor.group(plan)].compactMap { $0 }
            } catch {
                // A secret that cannot be had, for example: what is wrong with one plan hides nothing of the others.
                let failure = Failure.wrapping(error)
                let check = Check("reachable", .failed, failure.summary, remedy: failure.hint, code: failure.code)
                sections.append(Doctor.Section(subject: "plan \(plan.name): repository", checks: [check]))
            }
        }
        try Task.checkCancellation()
        var host =
            paused + HostChecks.metricsFile(session.metricsFile)
            + chosen.map { HostChecks.records($0, session.history($0)) }
        for plan in chosen {
            host += await HostChecks.timers(Session.timers(plan), plan, session.transport)
        }
        if !host.isEmpty { sections.append(Doctor.Section(subject: "this host", checks: host)) }
        let count = sections.reduce(0) { $0 + $1.checks.count { $0.state == .failed } }
        let failure = count == 0 ? nil : Failure(.problemsFound, "\(count) checks failed")
        try session.print(sections, command: "doctor", failure: failure) {
            sections.flatMap { section in
                [section.subject]
                    + section.checks.flatMap { check -> [String] in
                        let mark = [.ok: "ok     ", .warning: "WARNING", .failed: "FAILED "][check.state] ?? "FAILED "
                        return ["  \(mark)  \(check.name): \(PrintableText.of(check.detail))"]
                            + (check.state == .ok ? [] : [check.remedy].compactMap { $0 }.map { "           \($0)" })
                    }
            }.joined(separator: "\n")
        }
        if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
    }
}
