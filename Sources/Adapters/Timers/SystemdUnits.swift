// SPDX-License-Identifier: Apache-2.0
import Domain

/// A plan's jobs as services and timers of systemd (systemd.timer(5), systemd.exec(5)).
public enum SystemdUnits {
    /// A service and a timer for each job, services first.
    public static func files(_ plan: ScheduledPlan) -> [ScheduleFile] {
        plan.jobs.flatMap { job in
            let name = "salvor-\(job.rawValue)-\(plan.name)"
            return [
                ScheduleFile(name: "\(name).service", text: service(plan, job)),
                ScheduleFile(
                    name: "\(name).timer",
                    text: timer(
                        plan, plan.title(job), plan.schedule.calendar(job).map(\.text), service: "\(name).service")),
            ]
        }
    }

    private static func timer(
        _ plan: ScheduledPlan, _ title: String, _ calendar: [String], service: String
    ) -> String {
        """
        \(ScheduleFile.marker(plan.name))
        [Unit]
        Description=\(title): when

        [Timer]
        \(calendar.map { "OnCalendar=\($0)" }.joined(separator: "\n"))
        # A run that was missed because the host was off is made up for when it is on again.
        Persistent=true
        RandomizedDelaySec=\(plan.schedule.randomizedDelay ?? 0)s
        AccuracySec=1s
        Unit=\(service)

        [Install]
        WantedBy=timers.target

        """
    }

    private static func service(_ plan: ScheduledPlan, _ job: Schedule.Job) -> String {
        let writable = [plan.keyring, plan.stateDirectory] + plan.writableFolders
        var lines = [
            ScheduleFile.marker(plan.name), "[Unit]", "Description=\(plan.title(job))", "Wants=network-online.target",
            "After=network-online.target", "", "[Service]", "Type=oneshot",
            "ExecStart=\(([plan.program] + plan.arguments(job)).map(command).joined(separator: " "))",
        ]
        lines += plan.environment.map { "Environment=\(word("\($0.name)=\($0.value)"))" }
        if !plan.variables.isEmpty {
            lines.append("# \(plan.variables.joined(separator: " ")): NAME=value lines, mode 0600.")
            lines.append("EnvironmentFile=-\(percent(plan.variablesFile))")
        }
        if let user = plan.user { lines.append("User=\(user)") }
        lines += plan.credentials.map { "LoadCredential=\($0.name):\(percent($0.path))" }
        if plan.stateDirectory == "/var/lib/salvor" {
            lines += ["StateDirectory=salvor", "StateDirectoryMode=0700"]
        }
        lines += [
            "", "# The host's own work comes first.", "Nice=10", "CPUSchedulingPolicy=batch",
            "IOSchedulingClass=best-effort", "IOSchedulingPriority=7",
            "# A night is as long as it is: sources have time limits of their own. An interrupted run cleans up.",
            "TimeoutStartSec=infinity", "TimeoutStopSec=10min", "",
            "# It reads what it backs up, and writes to its own folders and the repository. What hooks need beyond that",
            "# goes into a drop-in: systemctl edit.",
            "ProtectSystem=strict", "ProtectHome=read-only",
            "ReadWritePaths=\(unique(writable).map { word("-\($0)") }.joined(separator: " "))",
            "PrivateTmp=\(plan.sharesTemporaryFolders ? "no" : "yes")",
        ]
        lines += capabilities(plan, job) + fixed
        return lines.joined(separator: "\n") + "\n"
    }

    private static func capabilities(_ plan: ScheduledPlan, _ job: Schedule.Job) -> [String] {
        let list = plan.capabilities(job).joined(separator: " ")
        // Another account has none of them unless they are given to it.
        return ["CapabilityBoundingSet=\(list)"]
            + (plan.user == nil || list.isEmpty ? [] : ["AmbientCapabilities=\(list)"])
    }

    private static let fixed = [
        "NoNewPrivileges=yes", "PrivateMounts=yes", "ProtectProc=invisible", "PrivateDevices=yes",
        "DevicePolicy=closed", "ProtectClock=yes", "ProtectHostname=yes",
        "ProtectControlGroups=yes", "ProtectKernelLogs=yes", "ProtectKernelModules=yes", "ProtectKernelTunables=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK", "RestrictNamespaces=yes",
        "RestrictRealtime=yes", "RestrictSUIDSGID=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
        "SystemCallArchitectures=native", "SystemCallFilter=@system-service", "SystemCallErrorNumber=EPERM",
        "KeyringMode=private", "RemoveIPC=yes", "LimitCORE=0", "UMask=0077",
    ]

    private static func unique(_ paths: [String]) -> [String] {
        var seen: Set<String> = []
        return paths.filter { !$0.isEmpty && seen.insert($0).inserted }
    }

    /// A word of a command line: a dollar sign would be a variable.
    private static func command(_ text: String) -> String { word(text.replacing("$", with: "$$")) }

    /// A word of a list, quoted where it has to be.
    private static func word(_ text: String) -> String {
        let escaped = percent(text)
        let isPlain = escaped.utf8.allSatisfy {
            // Letters, digits and % + , - . / : = @ _ $
            ($0 >= 48 && $0 <= 58) || ($0 >= 64 && $0 <= 90) || ($0 >= 97 && $0 <= 122)
                || [36, 37, 43, 44, 45, 46, 47, 61, 95].contains($0)
        }
        guard !isPlain || escaped.isEmpty else { return escaped }
        return "\"" + escaped.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    /// A percent sign begins a specifier.
    private static func percent(_ text: String) -> String { text.replacing("%", with: "%%") }
}
