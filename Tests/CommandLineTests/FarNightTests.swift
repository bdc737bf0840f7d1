// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("A night and a recovery over a transport, by command", .serialized)
struct FarNightTests {
    @Test("sources in containers of Docker: backed up, lost, restored, undone; and salvor killed in the middle")
    func docker() async throws { try await all(try await FarSite.docker(), "docker") }

    @Test("sources over ssh: backed up, lost, restored, undone; and salvor killed in the middle")
    func ssh() async throws { try await all(try await FarSite.ssh(), "ssh") }

    private func all(_ far: FarSite, _ transport: String) async throws {
        let site = far.site
        let good = try await far.facts()
        let doctor = try await site.host.run(["doctor"])
        #expect(doctor.status == 0, "\(doctor.output)\(doctor.errors)")
        let made = try await site.ok(["backup"])
        #expect(made.contains("complete bundle") && !made.contains(FarSite.password), "\(made)")
        try await site.ok(["validate-backup", "latest", "--level", "contents"], as: site.owner)

        for disaster in far.disasters { _ = try await far.beside(disaster) }
        let wrong = try await far.facts()
        #expect(wrong.filter { $0.value == good[$0.key] }.map(\.key) == [], "a disaster that is none")
        try await site.ok(["restore", "latest", "--yes", "--no-safety-bundle"], as: site.owner)
        try await far.expect(good, "restored")
        let restore = try #require(try await site.openRestores().first)
        try await site.ok(["restore", "--rollback", restore, "--yes"], as: site.owner)
        try await far.expect(wrong, "rolled back")
        try await site.ok(["restore", "latest", "--yes", "--no-safety-bundle"], as: site.owner)
        try await site.ok(["settle", try #require(try await site.openRestores().first), "--yes"])
        try await far.expect(good, "restored again")

        try await killed(far, ["backup"], as: site.host)
        try await site.ok(["backup"])
        #expect(try await site.bundles().count == 2)
        try await site.ok(["validate-backup", "latest"])

        let bundle = try #require(try await site.bundles().last)
        let again = ["restore", bundle, "--source", "ledger", "--yes", "--no-safety-bundle"]
        try await killed(far, again, as: site.owner)
        try await far.expect(good, "after a killed restore")
        let open = try #require(try await site.openRestores().first)
        try await site.ok(["restore", "--rollback", open, "--yes"], as: site.owner)
        try await site.ok(again, as: site.owner)
        try await far.expect(good, "restored after a killed restore")
        let left = try await far.beside("ls -d /tmp/salvor-[a-z]*-[0-9a-z]* 2>/dev/null | grep -v salvor-site || :")
        if transport == "docker" { #expect(left == "") }
    }

    /// Kills salvor while a far program waits, neither reading nor writing: it ends, too.
    private func killed(_ far: FarSite, _ arguments: [String], as process: SalvorProcess) async throws {
        let folder = try #require(far.questions["ledger"]?.split(separator: " ").dropFirst().first).dropLast(7)
        _ = try await far.beside("touch \(folder)/slow")
        let outcome = try await process.run(arguments, when: { FarSite.isWaiting() })
        #expect(outcome.status == 137, "\(outcome)")
        let deadline = ContinuousClock.now + .seconds(30)
        while FarSite.isWaiting(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(50)) }
        #expect(!FarSite.isWaiting(), "the far program outlived salvor")
        _ = try await far.beside("rm \(folder)/slow")
    }
}
