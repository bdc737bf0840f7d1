// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Disks that are full or cannot be written: of the repository, of the state folder, of the target.
@Suite("Full and read-only disks")
struct FullDiskTests {
    private static let sources = """
        - {name: config, adapter: files, paths: [$DIR/etc]}
        - {name: search, adapter: sqlite, path: $DIR/search.db}
        """

    private func sql(_ site: Site, _ text: String) async throws {
        let outcome = try await StockProgram.run("sqlite3", [site.folder("search.db"), text])
        try #require(outcome.status == 0, "\(outcome.errors)")
    }

    /// A site whose `disk/` is a small disk; nil where mounting is not allowed.
    private func site(_ kibibytes: Int) async throws -> (Site, SmallDisk)? {
        let folder = try TemporaryDirectory("disk")
        guard let disk = try SmallDisk.mounted(at: "disk", in: folder, kibibytes: kibibytes) else { return nil }
        let site = try await Site.make(
            sources: Self.sources, repository: "{store: \"file://\(disk.path)/repo\"}", keeping: folder)
        try site.folder.write("etc/app.conf", "listen 80\n")
        try await sql(site, "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2), (3);")
        return (site, disk)
    }

    @Test("a repository that is full at any moment fails the run, shows no bundle, and loses none")
    func repository() async throws {
        guard let (site, disk) = try await site(24 << 10) else { return }
        try await site.ok(["backup"])
        let first = try #require(try await site.bundles().first)
        func objects() throws -> Int {
            let names = FileManager.default.enumerator(atPath: "\(disk.path)/repo")?.compactMap { $0 as? String } ?? []
            return names.filter { $0.contains("bundles/") && $0.contains(".") && !$0.contains(first) }.count
        }
        // Larger than the disk: the first segment does not fit.
        try noise(30 << 20).write(to: URL(fileURLWithPath: site.folder("etc/large")))
        let full = try await site.host.run(["backup", "--json"])
        #expect(full.status == 7 && full.output.contains("storage.full"), "\(full.output)\(full.errors)")
        #expect(try objects() == 0)
        try FileManager.default.removeItem(atPath: site.folder("etc/large"))
        // Room for some of the objects only.
        var refused = 0
        for room in stride(from: 0, through: 48 << 10, by: 12 << 10) {
            try disk.fill(leaving: room)
            let before = try await site.bundles()
            let outcome = try await site.host.run(["backup"])
            if outcome.status == 0 {
                #expect(try await site.bundles().count == before.count + 1)
                continue
            }
            refused += 1
            #expect(outcome.status == 7 && outcome.errors.contains("full"), "\(room): \(outcome.errors)")
            #expect(try await site.bundles() == before, "with \(room) bytes free")
        }
        #expect(refused > 1)
        try disk.fill(leaving: 8 << 20)
        try await site.ok(["validate-backup", "latest", "--all", "--level", "checksum"])
        try await site.ok(["backup"])
        try await site.ok(["restore", "latest", "--to-directory", site.folder("out")], as: site.owner)
        #expect(try site.tree("out/config\(site.folder("etc"))") == site.tree("etc"))
        withExtendedLifetime(disk) {}
    }

    @Test("a repository that may not be written is told so, and can still be read")
    func readOnlyRepository() async throws {
        guard let (site, disk) = try await site(8 << 10) else { return }
        try await site.ok(["backup"])
        try disk.remount("ro")
        let outcome = try await site.host.run(["backup", "--json"])
        #expect(outcome.status == 7 && outcome.output.contains("storage.denied"), "\(outcome.output)")
        try await site.ok(["validate-backup", "latest"])
        try await site.ok(["restore", "latest", "--to-directory", site.folder("out")], as: site.owner)
        withExtendedLifetime(disk) {}
    }

    @Test("a full state folder costs the next delta, never the backup, and a restore does not begin without a journal")
    func state() async throws {
        let site = try await Site.make(sources: Self.sources)
        try site.folder.write("etc/app.conf", "listen 80\n")
        try await sql(site, "CREATE TABLE t(a); INSERT INTO t SELECT randomblob(100000) FROM generate_series(1, 20);")
        guard let disk = try SmallDisk.mounted(at: "state", in: site.folder, kibibytes: 1 << 10) else { return }
        func stored() async throws -> String { try await site.ok(["show", "latest", "--json"]) }
        for room in [600 << 10, 0] {
            try disk.fill(leaving: room)
            let outcome = try await site.host.run(["backup"])
            #expect(outcome.status == 0, "with \(room) bytes free: \(outcome.errors)")
            #expect(outcome.errors.contains("No space left"), "\(outcome.errors)")
            #expect(try await !stored().contains("\"delta\""))
        }
        try await site.ok(["validate-backup", "latest", "--all"])
        let live = try site.tree("etc")
        try site.folder.write("etc/app.conf", "changed\n")
        let changed = try site.tree("etc")
        let bundle = try #require(try await site.bundles().first)
        let outcome = try await site.owner.run(["restore", bundle, "--yes", "--no-safety-bundle", "--json"])
        #expect(outcome.status == 1 && outcome.output.contains("local.space"), "\(outcome.output)\(outcome.errors)")
        #expect(try site.tree("etc") == changed)
        // With room again the first night is a full, the second a delta, and both come back.
        try FileManager.default.removeItem(atPath: "\(disk.path)/filler")
        try disk.remount("size=64m")
        try await site.ok(["backup"])
        #expect(try await !stored().contains("\"delta\""))
        try await sql(site, "INSERT INTO t VALUES (1)")
        try await site.ok(["backup"])
        #expect(try await stored().contains("\"delta\""))
        try await site.ok(["restore", bundle, "--yes", "--no-safety-bundle"], as: site.owner)
        #expect(try site.tree("etc") == live)
        withExtendedLifetime(disk) {}
    }

    @Test("a state folder that may not be written stops a backup clearly, and hinders no listing, proof or recovery")
    func readOnlyState() async throws {
        let site = try await Site.make(sources: Self.sources)
        try site.folder.write("etc/app.conf", "listen 80\n")
        try await sql(site, "CREATE TABLE t(a);")
        guard let disk = try SmallDisk.mounted(at: "state", in: site.folder, kibibytes: 1 << 10) else { return }
        try await site.ok(["backup"])
        try disk.remount("ro")
        let outcome = try await site.host.run(["backup", "--json"])
        #expect(outcome.status == 1 && outcome.output.contains("local.io"), "\(outcome.output)")
        #expect(outcome.output.contains("Read-only file system") && outcome.output.contains("--state-dir"))
        for arguments in [["list-backups"], ["show", "latest"], ["validate-backup", "latest"], ["status"]] {
            try await site.ok(arguments)
        }
        try await site.ok(["restore", "latest", "--dry-run"], as: site.owner)
        try await site.ok(["restore", "latest", "--to-directory", site.folder("out")], as: site.owner)
        try disk.remount("rw")
        try await site.ok(["backup"])
        withExtendedLifetime(disk) {}
    }

    @Test("a restore to a target without room is blocked, and one that runs out of room removes what it made")
    func target() async throws {
        let folder = try TemporaryDirectory("disk")
        guard let disk = try SmallDisk.mounted(at: "small", in: folder, kibibytes: 6 << 10) else { return }
        let site = try await Site.make(
            sources: "- {name: config, adapter: files, paths: [\(disk.path)/etc]}", keeping: folder)
        // Small files take a page each: 4 MiB on the disk, 10 KiB by their sizes.
        for number in 0..<1000 { try folder.write("small/etc/d/\(number)", "\(number)\n") }
        try await site.ok(["backup"])
        let live = try site.tree("small/etc")
        let outcome = try await site.owner.run(["restore", "latest", "--yes", "--no-safety-bundle", "--json"])
        #expect(outcome.status == 1 && outcome.output.contains("local.space"), "\(outcome.output)\(outcome.errors)")
        #expect(try site.tree("small/etc") == live)
        #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path) == ["etc"])
        #expect(try await site.openRestores().isEmpty)

        try noise(1 << 20).write(to: URL(fileURLWithPath: "\(disk.path)/etc/large"))
        try await site.ok(["backup"])
        try disk.fill(leaving: 512 << 10)
        let plan = try await site.owner.run(["restore", "latest", "--dry-run"])
        #expect(plan.status == 4)
        #expect(plan.output.contains("BLOCKED: ") && plan.output.contains("are free"), "\(plan.output)")
        let blocked = try await site.owner.run(["restore", "latest", "--yes", "--json"])
        #expect(blocked.status == 4 && blocked.output.contains("restore.blocked"), "\(blocked.output)")
        let files = try await site.owner.run(["restore", "latest", "--to-directory", "\(disk.path)/out", "--json"])
        #expect(files.status == 1 && files.output.contains("local.space"), "\(files.output)")
        #expect(try site.tree("small/out").isEmpty, "no half of a tree is left to be taken for a whole one")
        // Elsewhere there is room.
        try await site.ok(["restore", "latest", "--to-directory", site.folder("out")], as: site.owner)
        #expect(try site.tree("out/config\(disk.path)/etc") == site.tree("small/etc"))
        withExtendedLifetime(disk) {}
    }
}
