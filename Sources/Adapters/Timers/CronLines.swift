// SPDX-License-Identifier: Apache-2.0
import Domain

/// A plan's jobs as a file for /etc/cron.d.
public enum CronLines {
    /// - Throws: `Failure(.configuration)` for times that cron cannot say, and for plans whose files it would not read.
    public static func file(_ plan: ScheduledPlan) throws -> ScheduleFile {
        guard plan.name.utf8.allSatisfy({ $0 != UInt8(ascii: ".") }) else {
            throw Failure(
                .configuration, "cron reads no files with a dot in their names, and the plan is called '\(plan.name)'",
                hint: "Rename the plan, or put the lines of 'salvor timers show --format cron' into a file by hand.")
        }
        var lines = [ScheduleFile.marker(plan.name)]
        lines.append("# cron does not make up for runs that were missed while the host was off; systemd's timers do.")
        if let delay = plan.schedule.randomizedDelay {
            lines.append("# cron knows no randomized-delay (\(delay) s): runs begin on the minute.")
        }
        if !plan.variables.isEmpty {
            lines.append("# The plan also needs, set here: \(plan.variables.joined(separator: " ")).")
        }
        lines += ["SHELL=/bin/sh", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        lines += plan.environment.map { "\($0.name)=\"\($0.value)\"" }
        for job in plan.jobs {
            for expression in plan.schedule.calendar(job) {
                let fields = try fields(expression, job, plan, takesZone: false)
                lines.append("\(fields) \(plan.user ?? "root") \(commandLine(plan, job))")
            }
        }
        return ScheduleFile(name: "salvor-\(plan.name)", text: lines.joined(separator: "\n") + "\n")
    }

    /// The five fields for a time, or why there are none.
    static func fields(
        _ expression: CalendarExpression, _ job: Schedule.Job, _ plan: ScheduledPlan, takesZone: Bool
    ) throws -> String {
        do {
            return try expression.cronFields(takesZone: takesZone)
        } catch {
            throw Failure(
                .configuration,
                "\(plan.file): the \(job.rawValue) time '\(expression)' of plan '\(plan.name)' \(error.problem)",
                hint: error.hint ?? "Use systemd's timers, or a time that the five fields can say.")
        }
    }

    private static func commandLine(_ plan: ScheduledPlan, _ job: Schedule.Job) -> String {
        // A percent sign ends the command for cron.
        Program(plan.program, plan.arguments(job)).commandLine.replacing("%", with: "\\%")
    }
}
