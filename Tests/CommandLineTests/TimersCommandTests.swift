// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `salvor timers` as operators type it.
@Suite("Timers from plans")
struct TimersCommandTests {
    private func site(_ schedule: String) async throws -> Site {
        let site = try await Site.make(
            sources: """
                - {name: config, adapter: files, paths: [$DIR/etc]}
                - {name: search, adapter: sqlite, path: $DIR/data/search.db}
                """)
        let text = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write("plan.yaml", text + "\n\(schedule)\n")
        return site
    }

    @Test("units are written, verified by systemd, replaced when the schedule changes, and removed without the plan")
    func directory() async throws {
        let site = try await site(
            "schedule: {calendar: [daily, \"Sat 14:00\"], randomized-delay: 10m, validate: {calendar: weekly}}")
        let units = site.folder("units")
        let installed = try await site.ok(["timers", "install", "--directory", units])
        #expect(installed.contains("next backup") && installed.contains("next validate"), "\(installed)")
        let names = try FileManager.default.contentsOfDirectory(atPath: units).sorted()
        #expect(
            names == [
                "salvor-backup-nightly.service", "salvor-backup-nightly.timer", "salvor-validate-nightly.service",
                "salvor-validate-nightly.timer",
            ])
        let verified = try await StockProgram.run(
            "systemd-analyze", ["verify", "--man=no"] + names.map { "\(units)/\($0)" })
        #expect(verified.status == 0 && verified.errors.isEmpty, "\(verified.errors)")
        let service = try String(contentsOfFile: "\(units)/salvor-backup-nightly.service", encoding: .utf8)
        let binary = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        #expect(!binary.isEmpty && service.contains("backup nightly --wait 12h\n"))
        // What it may write: keyring, state, repository, the folder of the database.
        let home = try #require(site.host.environment["GNUPGHOME"])
        #expect(
            service.contains(
                "ReadWritePaths=-\(home) -\(site.folder("state")) -\(site.folder("repo")) -\(site.folder("data"))\n"),
            "\(service)")
        #expect(service.contains("CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN\n"))
        // The sources are below /tmp, or wherever tests have their folders.
        let isTemporary = site.folder.path.hasPrefix("/tmp") || site.folder.path.hasPrefix("/var/tmp")
        #expect(service.contains("PrivateTmp=\(isTemporary ? "no" : "yes")"))

        let text = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write("plan.yaml", text.replacing(", validate: {calendar: weekly}", with: ""))
        try site.folder.write("units/other.timer", "[Timer]\n")
        let again = try await site.ok(["timers", "install", "--directory", units])
        #expect(again.contains("removed \(units)/salvor-validate-nightly.timer"), "\(again)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: units).count == 3)

        var nowhere = site.host
        nowhere.environment["SALVOR_CONFIG"] = site.folder("no-such-configuration")
        #expect(try await nowhere.run(["timers", "remove", "weekly", "--directory", units]).output.contains("nothing"))
        try await site.ok(["timers", "remove", "nightly", "--directory", units], as: nowhere)
        #expect(try FileManager.default.contentsOfDirectory(atPath: units) == ["other.timer"])
    }

    @Test("showing changes nothing and says all three formats; what cannot be is refused with its status")
    func refusals() async throws {
        let site = try await site("schedule: {calendar: \"*-*-* 02:00 UTC\"}")
        for (format, word) in [("systemd", "OnCalendar=*-*-* 02:00 UTC"), ("kubernetes", "timeZone: \"UTC\"")] {
            let shown = try await site.ok(["timers", "show", "nightly", "--format", format])
            #expect(shown.contains(word), "\(shown)")
        }
        let cron = try await site.host.run(["timers", "show", "--format", "cron"])
        #expect(cron.status == 2 && cron.errors.contains("names a time zone"), "\(cron.errors)")
        try await site.ok(["timers", "show", "--user", "backup"])
        #expect(try await site.host.run(["timers", "show", "--user", "a b"]).status == 2)
        #expect(try await site.host.run(["timers", "show", "weekly"]).status == 5)
        #expect(try await site.host.run(["timers", "install", "--format", "kubernetes"]).status == 2)
        // A host without systemd, as containers mostly are: nothing is changed.
        if !FileManager.default.fileExists(atPath: "/run/systemd/system") {
            let refused = try await site.host.run(["timers", "install"])
            #expect(refused.status == 4 && refused.errors.contains("--directory"), "\(refused.errors)")
            #expect(!FileManager.default.fileExists(atPath: "/etc/systemd/system/salvor-backup-nightly.timer"))
        }
        let text = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        for (schedule, status, words) in [
            ("schedule: {calendar: \"2001-01-01\"}", Int32(2), "never comes again"), ("", 5, "no plan has a schedule"),
        ] {
            try site.folder.write(
                "plan.yaml", text.replacing("schedule: {calendar: \"*-*-* 02:00 UTC\"}", with: schedule))
            let outcome = try await site.host.run(["timers", "show"])
            #expect(outcome.status == status && outcome.errors.contains(words), "\(outcome.errors)")
        }
    }
}
