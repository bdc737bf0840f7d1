// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import TestSupport
import Testing
import Timers
import Transports

/// A plan with everything that shows in a scheduler's files.
func samplePlan(
    _ name: String = "nightly", program: String = "/bin/true", calendar: [String] = ["*-*-* 02:00"], user: String? = nil
) throws -> ScheduledPlan {
    ScheduledPlan(
        name: name, file: "/etc/salvor/plans/\(name).yaml",
        schedule: Schedule(
            backup: try calendar.map { try CalendarExpression($0) }, randomizedDelay: 600,
            validation: .init(calendar: [try CalendarExpression("Sun 06:00")], level: .presence, which: .all),
            prune: [try CalendarExpression("weekly")]),
        program: program, configuration: "/etc/salvor", stateDirectory: "/var/lib/salvor", keyring: "/root/.gnupg",
        user: user, credentials: [.init(name: "pgpass", path: "/etc/salvor/credentials/pgpass")],
        variables: ["AWS_ACCESS_KEY_ID"], variablesFile: "/etc/salvor/environment",
        writableFolders: ["/srv/backups", "/srv/100% \"odd\" name"],
        capabilities: ["CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", "CAP_CHOWN"])
}

@Suite("systemd units")
struct UnitTests {
    /// Writes units and gives the folder and the outcome of a `systemd-analyze` over all of them.
    private func analyze(
        _ arguments: [String], _ plan: ScheduledPlan, only ending: String = ""
    ) async throws -> StockProgram.Outcome {
        let folder = try TemporaryDirectory("units")
        let files = SystemdUnits.files(plan)
        try ScheduleFolder(folder.path).write(files)
        let names = files.map(\.name).filter { $0.hasSuffix(ending) }.map { folder($0) }
        return try await StockProgram.run("systemd-analyze", arguments + names)
    }

    @Test("systemd finds nothing to complain of in them, for root and for another account")
    func verified() async throws {
        for user in [nil, "backup"] {
            let outcome = try await analyze(["verify", "--man=no"], try samplePlan(user: user))
            #expect(outcome.status == 0 && outcome.errors.isEmpty && outcome.output.isEmpty, "\(outcome.errors)")
        }
    }

    @Test("their exposure is small, as systemd counts it: at most 2.5 of 10")
    func exposure() async throws {
        for user in [nil, "backup"] {
            let outcome = try await analyze(
                ["security", "--offline=true", "--threshold=25", "--no-pager"], try samplePlan(user: user),
                only: ".service")
            #expect(outcome.status == 0, "\(outcome.text.split(separator: "\n").filter { $0.contains("exposure") })")
        }
    }

    @Test("a service says what is run, with which secrets, and where it may write; a timer, when")
    func contents() throws {
        let files = Dictionary(
            uniqueKeysWithValues: SystemdUnits.files(try samplePlan(program: "/opt/salvor $1/bin/sal%vor")).map {
                ($0.name, $0.text)
            })
        #expect(
            files.keys.sorted() == [
                "salvor-backup-nightly.service", "salvor-backup-nightly.timer", "salvor-prune-nightly.service",
                "salvor-prune-nightly.timer", "salvor-validate-nightly.service", "salvor-validate-nightly.timer",
            ])
        let service = try #require(files["salvor-backup-nightly.service"])
        for line in [
            "ExecStart=\"/opt/salvor $$1/bin/sal%%vor\" backup nightly --wait 12h", "Type=oneshot",
            "Environment=SALVOR_CONFIG=/etc/salvor", "EnvironmentFile=-/etc/salvor/environment",
            "LoadCredential=pgpass:/etc/salvor/credentials/pgpass", "StateDirectory=salvor", "Nice=10",
            "IOSchedulingClass=best-effort", "ProtectSystem=strict", "PrivateTmp=yes",
            "ReadWritePaths=-/root/.gnupg -/var/lib/salvor -/srv/backups \"-/srv/100%% \\\"odd\\\" name\"",
            "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN",
        ] { #expect(service.split(separator: "\n").contains(Substring(line)), "\(line) is not in \(service)") }
        #expect(!service.contains("User=") && !service.contains("AmbientCapabilities"))
        #expect(
            files["salvor-validate-nightly.service"]?.contains(
                "validate-backup latest:nightly --plan nightly --level presence --all\n") == true)
        #expect(files["salvor-prune-nightly.service"]?.contains("prune nightly --apply\n") == true)
        let timer = try #require(files["salvor-backup-nightly.timer"])
        for line in [
            "OnCalendar=*-*-* 02:00", "Persistent=true", "RandomizedDelaySec=600s", "WantedBy=timers.target",
            "Unit=salvor-backup-nightly.service",
        ] { #expect(timer.split(separator: "\n").contains(Substring(line)), "\(line) is not in \(timer)") }
    }

    @Test("another account is given the right to read, and nothing else")
    func otherAccount() throws {
        let service = SystemdUnits.files(try samplePlan(user: "backup"))[0].text
        #expect(service.contains("User=backup\n"))
        #expect(service.contains("AmbientCapabilities=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN\n"))
    }

    @Test("every expression we read is one that systemd takes in a unit")
    func calendars() async throws {
        let plan = try samplePlan(calendar: [
            "Mon..Fri *-*-* 02:00", "*-*~1", "quarterly UTC", "Sun *-*-1..7 04:30 Europe/Berlin", "*:0/15",
        ])
        let outcome = try await analyze(["verify", "--man=no"], plan, only: "backup-nightly.timer")
        #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
    }
}

@Suite("Files of schedulers among others")
struct ScheduleFolderTests {
    @Test("what was written is found by plan and removed, and nothing else is touched")
    func ours() throws {
        let folder = try TemporaryDirectory("units")
        let schedules = ScheduleFolder(folder.path)
        let foreign = [
            "salvor-backup-other.service": "[Service]\nExecStart=/bin/true\n", "ssh.service": "",
            // Somebody's copy, changed in its first line.
            "salvor-copy.timer": "# Made by 'salvor timers install' for plan nightly\n",
        ]
        for (name, text) in foreign { try folder.write(name, text) }
        try schedules.write(SystemdUnits.files(try samplePlan("nightly")))
        try schedules.write(SystemdUnits.files(try samplePlan("weekly")))
        try schedules.write(SystemdUnits.files(try samplePlan("nightly")))
        #expect(try schedules.files(of: ["nightly"]).count == 6 && schedules.files(of: nil).count == 12)
        #expect(try schedules.files(of: ["night"]).isEmpty)
        let mode = try FileManager.default.attributesOfItem(atPath: folder("salvor-backup-nightly.timer"))
        #expect(mode[.posixPermissions] as? Int == 0o644)
        try schedules.remove(try schedules.files(of: ["nightly"]))
        try schedules.remove(["salvor-backup-nightly.timer"])
        #expect(try schedules.files(of: nil).count == 6)
        try schedules.remove(try schedules.files(of: nil))
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(Set(left) == Set(foreign.keys))
    }

    @Test("a file of somebody else that is in the way stops everything before the first is written")
    func foreign() throws {
        for isLink in [false, true] {
            let folder = try TemporaryDirectory("units")
            let name = "salvor-prune-nightly.timer"
            if isLink {
                // As 'systemctl mask' leaves it.
                try FileManager.default.createSymbolicLink(atPath: folder(name), withDestinationPath: "/dev/null")
            } else {
                try folder.write(name, "[Timer]\n")
            }
            let failure = try #require(throws: Failure.self) {
                try ScheduleFolder(folder.path).write(SystemdUnits.files(try samplePlan()))
            }
            #expect(failure.code == .preflightRefused && failure.summary.contains(name))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [name])
        }
    }

    @Test("a folder that cannot be written is told with the reason")
    func unwritable() throws {
        let folder = try TemporaryDirectory("units")
        try folder.write("file", "")
        let failure = try #require(throws: Failure.self) {
            try ScheduleFolder(folder("file")).write(SystemdUnits.files(try samplePlan()))
        }
        #expect(failure.code == .localInput && failure.hint?.contains("--directory") == true)
    }

    @Test("without a running systemd, its units are refused before anything is changed")
    func noSystemd() throws {
        guard !FileManager.default.fileExists(atPath: "/run/systemd/system") else { return }
        let failure = try #require(throws: Failure.self) { try SystemdControl(LocalTransport()).requireRunning() }
        #expect(failure.code == .preflightRefused && failure.hint?.contains("--directory") == true)
    }
}
