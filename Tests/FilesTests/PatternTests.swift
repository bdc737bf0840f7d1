// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Files

@Suite("Patterns and settings")
struct PatternTests {
    static let table: [(pattern: String, path: String, directory: Bool, matches: Bool)] = [
        ("*.tmp", "etc/app/a.tmp", false, true), ("*.tmp", "a.tmp", false, true), ("*.tmp", "a.tmp/b", false, false),
        ("**/*.tmp", "etc/app/a.tmp", false, true), ("**/*.tmp", "a.tmp", false, true),
        ("cache", "var/cache", true, true), ("cache", "var/cachet", true, false), ("cache/", "var/cache", true, true),
        ("cache/", "var/cache", false, false), ("cache/*", "var/cache/a", false, true),
        ("cache/*", "var/cache/a/b", false, false), ("cache/**", "var/cache/a/b", false, true),
        ("cache/**", "var/cache", true, false), ("/etc/*.conf", "etc/a.conf", false, true),
        ("/etc/*.conf", "opt/etc/a.conf", false, false), ("/etc/**/a.conf", "etc/a.conf", false, true),
        ("/etc/**/a.conf", "etc/x/y/a.conf", false, true), ("/etc/**/a.conf", "etc/xa.conf", false, false),
        ("/etc/**", "etc/x/y", false, true), ("/**", "etc", true, true), ("?.log", "a.log", false, true),
        ("?.log", "ab.log", false, false), ("a?b", "a/b", false, false), ("a*b", "a/b", false, false),
        ("a**b", "x/a/b", false, true), ("\\*.tmp", "x/*.tmp", false, true), ("\\*.tmp", "x/a.tmp", false, false),
        ("[ab]", "a", false, false), ("[ab]", "x/[ab]", false, true), ("/etc", "etc", true, true),
        ("app/conf", "etc/app/conf", false, true), ("app/conf", "etc/myapp/conf", false, false),
        ("***.x", "a/b.x", false, true), ("ä*", "x/äb", false, true),
    ]

    @Test("Patterns match as documented", arguments: table)
    func match(_ row: (pattern: String, path: String, directory: Bool, matches: Bool)) throws {
        let pattern = try PathPattern(row.pattern)
        let found = Array(row.path.utf8).withUnsafeBufferPointer { pattern.matches($0, isDirectory: row.directory) }
        #expect(found == row.matches, "'\(row.pattern)' on '\(row.path)'")
    }

    @Test("What is excluded is not stored, directories with all that is in them")
    func exclude() async throws {
        let tree = try TreeFixture()
        for name in ["keep", "a.tmp", "cache/x", "sub/cache/y", "sub/b.tmp", "sub/keep"] { try tree.write(name, "") }
        let (_, stream, report) = try await tree.capture(try tree.adapter(["exclude": ["**/*.tmp", "cache/"]]))
        #expect(try names(stream, tree) == ["", "keep", "sub", "sub/keep"])
        #expect(report.facts["files"] == .count(2))
    }

    @Test("With 'include', only what matches is stored, and the directories on the way")
    func include() async throws {
        let tree = try TreeFixture()
        for name in ["a.conf", "b.txt", "sub/c.conf", "sub/d.txt", "other/e.txt", "all/f.txt", "all/g/h.txt"] {
            try tree.write(name, "")
        }
        let (_, stream, _) = try await tree.capture(
            try tree.adapter(["include": ["*.conf", "all/"], "exclude": ["f.txt"]]))
        #expect(try names(stream, tree) == ["", "a.conf", "all", "all/g", "all/g/h.txt", "sub", "sub/c.conf"])
    }

    @Test("Members are in walk order: a directory's content before names that sort after its name")
    func order() async throws {
        let tree = try TreeFixture()
        for name in ["a/x", "a-b", "a.b", "aa", "Z", "a/\u{e4}"] { try tree.write(name, "") }
        let (_, stream, _) = try await tree.capture(try tree.adapter())
        #expect(try names(stream, tree) == ["", "Z", "a", "a/x", "a/\u{e4}", "a-b", "a.b", "aa"])
    }

    @Test("Several paths, a single file among them, are stored in one stream")
    func severalPaths() async throws {
        let tree = try TreeFixture()
        try tree.write("one/a", "1")
        try tree.write("two", "2")
        let adapter = try tree.adapter(["paths": [tree.root + "/two", tree.root + "/one/"]])
        let (_, stream, report) = try await tree.capture(adapter)
        #expect(try names(stream, tree) == ["one", "one/a", "two"])
        #expect(report.restoreData["roots"]?.array?.map { $0["kind"]?.string } == ["directory", "file"])
    }

    private func names(_ stream: MemoryStream, _ tree: TreeFixture) throws -> [String] {
        var names: [String] = []
        try stream.members.forEach {
            names.append(String(String(decoding: $0.path, as: UTF8.self).dropFirst(tree.root.count)))
        }
        return names
    }

    @Test("Other file systems mounted inside are left out, their mount points kept")
    func oneFileSystem() async throws {
        // /dev has mounts on every Linux system (pts, shm); only directories are of interest, so nothing else is stored.
        let settings = ["include": ["/dev/pts/", "/dev/shm/"]]
        let tree = try TreeFixture()
        let mounts = try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
        let adapter = try tree.adapter(["paths": ["/dev"]].merging(settings) { $1 })
        let (_, stream, report) = try await tree.capture(adapter)
        for mount in ["/dev/pts", "/dev/shm"] where mounts.contains(" \(mount) ") {
            #expect(report.notices.contains("'\(mount)' is another file system: what is in it is not stored"))
            var found = false
            try stream.members.forEach { found = found || "/" + String(decoding: $0.path, as: UTF8.self) == mount }
            #expect(found)
        }
    }

    @Test("A disk mounted inside is left out unless asked for")
    func mounted() async throws {
        let tree = try TreeFixture()
        try tree.write("own", "1")
        guard let disk = try SmallDisk.mounted(at: "root/mounted", in: tree.folder, kibibytes: 64) else { return }
        try tree.write("mounted/foreign", "2")
        let (_, stream, report) = try await tree.capture(try tree.adapter())
        #expect(try names(stream, tree) == ["", "mounted", "own"])
        #expect(report.notices.contains { $0.contains("'\(disk.path)' is another file system") })
        let (_, whole, silent) = try await tree.capture(try tree.adapter(["one-file-system": ["false"]]))
        #expect(try names(whole, tree) == ["", "mounted", "mounted/foreign", "own"])
        #expect(silent.notices == [])
        withExtendedLifetime(disk) {}
    }

    @Test(
        "Wrong settings are refused with their place",
        arguments: [
            (["paths": ["relative"]], "absolute"), (["paths": ["/etc/../x"]], "absolute"),
            (["paths": ["/etc", "/etc/app"]], "lies in"), (["paths": ["/etc", "/etc/"]], "lies in"),
            (["exclude": ["*.tmp"]], "required"), (["paths": ["/etc"], "on-change": ["ignore"]], "one of"),
            (["paths": ["/etc"], "exclude": ["a\\"]], "backslash"),
            (["paths": ["/etc"], "patterns": ["x"]], "unknown key"),
        ])
    func wrong(_ values: [String: [String]], _ reason: String) throws {
        let failure = #expect(throws: Failure.self) { _ = try TreeFixture.settings(values) }
        #expect(failure?.code == .configuration)
        #expect(failure?.summary.contains(reason) == true, "\(failure?.summary ?? "")")
        #expect(failure?.summary.contains("plan.yaml:1") == true)
    }
}
