// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import LocalState
import Monitoring
import Transports

/// What doctor looks for on this host, beside plans: what tells others of its runs.
enum HostChecks {
    static func metricsFile(_ path: String?) -> [Check] {
        guard let path else { return [] }
        let file = WholeFile.metrics(path)
        do {
            try file.check()
        } catch {
            let failure = Failure.wrapping(error)
            return [Check("metrics file", .warning, failure.summary, remedy: failure.hint)]
        }
        guard file.isRead else {
            return [
                Check(
                    "metrics file", .warning, "the node exporter reads only names that end in .prom, not '\(path)'",
                    remedy: "Name it so as 'metrics-file' in salvor.yaml.")
            ]
        }
        return [Check("metrics file", .ok, "'\(path)' can be written")]
    }

    /// Records of runs that no repository has yet.
    static func records(_ plan: Plan, _ history: any RunHistory) -> Check {
        let name = "run records of \(plan.name)"
        do {
            let pending = try history.pending()
            guard let oldest = pending.first else { return Check(name, .ok, "none waits for the repository") }
            return Check(
                name, .warning, "\(pending.count) wait for the repository, the oldest of \(oldest.started)",
                remedy: "The next run stores them; if it does not, the repository cannot be written from here.")
        } catch {
            let failure = Failure.wrapping(error)
            return Check(name, .warning, failure.summary, remedy: failure.hint)
        }
    }

    /// What a run that died has left paused, which is resumed at once: the application waits for nobody's decision.
    static func paused(_ plan: Plan, _ session: Session) async -> [Check] {
        let name = "paused application of \(plan.name)"
        do {
            let notes = FreezeNoteFiles(session.state, plan: plan.name)
            let quiesce = LocalQuiesceSupervisor.noteID
            guard let note = try await notes.all().first(where: { $0.id == quiesce }) else { return [] }
            guard !PlanLock.seemsHeld(session.state, plan: plan.name) else {
                return [Check(name, .ok, "paused since \(note.noted) by a run that is under way")]
            }
            // A run that has ended in the meantime has erased its note.
            guard try await notes.all().contains(note) else { return [] }
            guard let what = try await session.quiesceSupervisor(plan).resumeLeftOver() else { return [] }
            return [
                Check(
                    name, .warning, "resumed just now what a run that ended early had left paused: \(what)",
                    remedy: "Look whether the application works, and why that run ended ('salvor list-runs').")
            ]
        } catch {
            let failure = Failure.wrapping(error)
            return [Check(name, .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }

    /// Whether what the plan's `schedule` says will happen.
    ///
    /// - Parameters:
    ///   - timers: the names of the units that the plan needs.
    ///   - transport: starts `systemctl`.
    static func timers(_ timers: [String], _ plan: Plan, _ transport: any Transport) async -> [Check] {
        guard !timers.isEmpty else { return [] }
        // As sd_booted(3) tells it.
        guard FileManager.default.fileExists(atPath: "/run/systemd/system") else {
            return [
                Check(
                    "timers", .warning, "plan \(plan.name) has a schedule, and this host is not run by systemd",
                    remedy:
                        "See to it that something else runs it; 'salvor timers show --format cron' writes lines for cron."
                )
            ]
        }
        var checks: [Check] = []
        for timer in timers {
            checks.append(await state(timer, plan, transport))
        }
        return checks
    }

    private static func state(_ timer: String, _ plan: Plan, _ transport: any Transport) async -> Check {
        let remedy = "Type: salvor timers install \(plan.name)"
        do {
            // Its word is on standard output; the exit status only says whether that word is a good one.
            func ask(_ verb: String) async throws -> String {
                let (bytes, _) = try await transport.outputAndExit(
                    of: Program("systemctl", [verb, timer]), limit: 4096)
                return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            }
            let (enabled, active) = (try await ask("is-enabled"), try await ask("is-active"))
            let words =
                "\(timer) is \(enabled.isEmpty ? "not there" : enabled) and \(active.isEmpty ? "unknown" : active)"
            let isFine = enabled == "enabled" && active == "active"
            return isFine
                ? Check("timer", .ok, words)
                : Check("timer", .failed, words, remedy: remedy, code: .preflightRefused)
        } catch {
            return Check("timer", .warning, "\(timer): \(Failure.wrapping(error).summary)", remedy: remedy)
        }
    }
}
