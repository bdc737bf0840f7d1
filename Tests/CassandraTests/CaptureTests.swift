// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Files
import Foundation
import TestSupport
import Testing

@testable import Cassandra

@Suite struct CaptureTests {
    @Test("one tag on all nodes: files of every data directory, schema, topology, configuration; nothing left behind")
    func wholeRing() async throws {
        let fixture = try RingFixture { $0.nodes = 3 }
        try fixture.ring.insert("app.users", from: 0, count: 60)
        try fixture.ring.flush("app.users")
        try fixture.ring.insert("app.users", from: 60, count: 60)
        try fixture.ring.cql("CREATE INDEX by_name ON app.users (name);")
        let copy = try await fixture.capture()
        #expect(copy.capture.streams.map(\.name) == ["node-node1", "node-node2", "node-node3", "schema", "topology"])
        let record = try CassandraRecord(copy.report.restoreData)
        #expect(record.nodes.count == 3 && record.peers.isEmpty && Set(record.nodes.flatMap(\.tokens)).count == 3)
        #expect(copy.report.position == record.tag && record.tag.hasPrefix("salvor_"))
        #expect(copy.report.engine == "Apache Cassandra 4.1.3")
        let users = try #require(record.tables.first { $0.qualified == "app.users" })
        #expect(users.sstables == 6)
        var paths: [String] = []
        for stream in copy.capture.streams {
            try stream.members.forEach { paths.append(String(decoding: $0.path, as: UTF8.self)) }
        }
        for directory in ["data1/app/users-", "data2/app/users-"] {
            #expect(paths.contains { $0.hasPrefix(directory) && $0.hasSuffix("-Data.db") })
        }
        #expect(paths.contains { $0.contains("/.by_name/") && $0.hasSuffix("-Data.db") })
        #expect(paths.contains { $0.hasSuffix("/manifest.json") } && paths.contains { $0.hasSuffix("/schema.cql") })
        #expect(paths.contains { $0.hasPrefix("configuration/") && $0.hasSuffix("cassandra.yaml") })
        #expect(paths.contains { $0.hasPrefix("data1/system_auth/") || $0.hasPrefix("data2/system_auth/") })
        let schema = String(decoding: copy.capture.bytes("schema") ?? [], as: UTF8.self)
        #expect(schema.contains("CREATE KEYSPACE app") && schema.contains("WITH ID = "))
        #expect(try fixture.ring.tags.isEmpty)
        #expect(await fixture.notes.all().isEmpty)
    }

    @Test("the files of the next night are stored without those that are there already, and both make one tree")
    func incremental() async throws {
        let fixture = try RingFixture()
        try fixture.ring.insert("app.users", from: 0, count: 50)
        try fixture.ring.flush("app.users")
        let first = try await fixture.capture()
        try fixture.ring.insert("app.users", from: 50, count: 50)
        let second = try await fixture.capture(base: first)
        let stream = try #require(second.capture.stream("node-node1"))
        var names: [String] = []
        try stream.members.forEach { names.append(String(decoding: $0.path, as: UTF8.self)) }
        #expect(names.filter { $0.hasSuffix("-Data.db") }.count == 1)
        #expect(stream.storage == .incremental)
        let folder = try TemporaryDirectory("tree")
        _ = try await TreeRestore.extract(stream: stream, into: folder.path)
        let data = try ShortCommand.run("find", [folder.path, "-path", "*/app/users-*", "-name", "*-Data.db"])
        #expect(data.split(separator: "\n").count == 2)
        // By hand, as recover.sh does it: the base, then what is new over it.
        let restored = try RingFixture { $0.tokenShift = 0 }
        try await restored.restoreFully(restored.restore(second))
        #expect(try restored.ring.rows("app.users") == 100)
    }

    @Test("numbers that begin again do not make another file the same one")
    func repeatedNames() async throws {
        let fixture = try RingFixture { $0.dataDirectories = 1 }
        try fixture.ring.insert("app.users", from: 0, count: 9)
        let first = try await fixture.capture()
        // The table is emptied, numbers begin again at 1, and the new file has the name, size, time and inode of the old.
        let folder = try ShortCommand.run(
            "find", [fixture.ring.data("node1"), "-path", "*/app/users-*", "-name", "nb-1-big-Data.db"]
        )
        .trimmingCharacters(in: .whitespacesAndNewlines)
        let content = try String(contentsOfFile: folder, encoding: .utf8).replacingOccurrences(
            of: "row 3", with: "ROW 3")
        let time = try ShortCommand.run("stat", ["--format=%y", folder]).trimmingCharacters(in: .whitespacesAndNewlines)
        let handle = try #require(FileHandle(forWritingAtPath: folder))
        try handle.write(contentsOf: Data(content.utf8))
        try handle.close()
        try ShortCommand.run("touch", ["--date=\(time)", folder])
        var checksum = RunningCRC32()
        Array(content.utf8).withUnsafeBytes { checksum.update($0) }
        try String(checksum.value).write(
            toFile: folder.replacingOccurrences(of: "Data.db", with: "Digest.crc32"), atomically: false, encoding: .utf8
        )
        let second = try await fixture.capture(base: first)
        var stored: [String] = []
        try second.capture.stream("node-node1")?.members.forEach {
            stored.append(String(decoding: $0.path, as: UTF8.self))
        }
        #expect(
            stored.contains { $0.hasSuffix("app/\(folder.split(separator: "/").suffix(2).joined(separator: "/"))") })
    }

    @Test(
        "a snapshot that is not whole fails the source, says where, and is cleared",
        arguments: [
            ("truncated-sstable", "Digest.crc32 says"), ("digest-mismatch", "Digest.crc32 says"),
            ("component-missing", "Statistics.db, which its TOC.txt lists"), ("toc-missing", "no TOC.txt"),
            ("snapshot-missing", "no snapshot of table app.users"),
        ])
    func damage(_ fault: String, _ text: String) async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        try fixture.ring.insert("app.users", from: 0, count: 40)
        try fixture.ring.fault(fault, #"{"node2": "app.users"}"#)
        let failure = try await failure { try await fixture.capture() }
        #expect(failure.summary.contains("node 'node2'") && failure.summary.contains(text), "\(failure.summary)")
        #expect(try fixture.ring.tags.isEmpty)
        #expect(await fixture.notes.all().isEmpty)
    }

    @Test("schemas that disagree, or change meanwhile, fail the source, and nothing is left")
    func schemas() async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        try fixture.ring.fault("schema-disagreement", "true")
        #expect(try await failure { try await fixture.capture() }.summary.contains("no agreement on the schema"))
        try fixture.ring.fault("schema-disagreement", "null")
        try fixture.ring.fault("schema-changes", "true")
        #expect(try await failure { try await fixture.capture() }.summary.contains("schema changed while"))
        #expect(try fixture.ring.tags.isEmpty)
    }

    @Test("a node that is down, joining, or missing in the plan makes no copy")
    func partialRing() async throws {
        let fixture = try RingFixture { $0.nodes = 3 }
        let missing = try await failure { try await fixture.capture(nil, fixture.adapter(["node1", "node3"])) }
        #expect(missing.summary.contains("127.0.0.2") && missing.summary.contains("is not in the plan"))
        try fixture.ring.fault("joining", #"{"node2": "J"}"#)
        #expect(try await failure { try await fixture.capture() }.summary.contains("leaving, joining or moving"))
        try fixture.ring.fault("joining", "null")
        try fixture.ring.change("node2", #"{"up": false}"#)
        let down = try await failure { try await fixture.capture() }
        #expect(down.code == .sourceUnreachable && down.summary.contains("node 'node2'"))
        #expect(try fixture.ring.tags.isEmpty)
    }

    @Test("nodes of different releases are refused")
    func versionSkew() async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        try fixture.ring.change("node2", #"{"release": "4.0.9"}"#)
        let failure = try await failure { try await fixture.capture() }
        #expect(failure.code == .versionRefused && failure.summary.contains("4.0.9, 4.1.3"))
    }

    @Test("a snapshot that fails on one node is cleared on all")
    func snapshotFails() async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        try fixture.ring.insert("app.users", from: 0, count: 4)
        for fault in ["snapshot-fails", "snapshot-silent"] {
            try fixture.ring.fault(fault, #""node2""#)
            #expect(try await failure { try await fixture.capture() }.summary.contains("node 'node2'"))
            try fixture.ring.fault(fault, "null")
            #expect(try fixture.ring.tags.isEmpty)
        }
    }

    @Test("a snapshot that cannot be cleared is told, stays noted, and goes with the next run")
    func clearFails() async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        try fixture.ring.fault("clear-ignored", #""node2""#)
        let failure = try await failure { try await fixture.capture() }
        #expect(failure.summary.contains("still there after clearsnapshot"))
        #expect(await fixture.notes.all().count == 1)
        try fixture.ring.fault("clear-ignored", "null")
        #expect(try !fixture.ring.tags.isEmpty)
        _ = try await fixture.capture()
        #expect(try fixture.ring.tags.isEmpty)
        #expect(await fixture.notes.all().isEmpty)
    }

    @Test("a run that is cancelled clears its snapshot")
    func cancelled() async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        let adapter = try fixture.adapter { step in
            if step == "snapshotted" { withUnsafeCurrentTask { $0?.cancel() } }
        }
        let work = Task { try await fixture.capture(nil, adapter) }
        await #expect(throws: (any Error).self) { try await work.value }
        #expect(try fixture.ring.calls.contains { $0.contains(" snapshot ") } && fixture.ring.tags.isEmpty)
        #expect(await fixture.notes.all().isEmpty)
    }

    @Test("what a killed run left is cleared by the next one, and others' snapshots are not")
    func leftOvers() async throws {
        let fixture = try RingFixture()
        try fixture.ring.insert("app.users", from: 0, count: 4)
        _ = try ShortCommand.run(
            fixture.ring.tool("nodetool"), ["-p", "7200", "snapshot", "-t", "before-upgrade", "--", "app"])
        // Killed: neither released nor, on another day, noted.
        _ = try await fixture.adapter().freeze()
        #expect(try fixture.ring.tags.contains { $0.contains(" salvor_") })
        for note in await fixture.notes.all() { await fixture.notes.erase(note.id) }
        let checks = try await fixture.adapter().preflight()
        #expect(checks.contains { $0.name == "node1 left-overs" && $0.state == .warning })
        _ = try await fixture.capture()
        #expect(try fixture.ring.tags.allSatisfy { $0.contains(" before-upgrade ") } && !fixture.ring.tags.isEmpty)
    }

    @Test("freeze, then writes, then capture: what was written later is not in it, and release takes the tag away")
    func freezing() async throws {
        let fixture = try RingFixture()
        try fixture.ring.insert("app.users", from: 0, count: 10)
        let before = SystemClock().now()
        let frozen = try await fixture.adapter().freeze()
        #expect(frozen.frozen.from >= before && frozen.frozen.to >= frozen.frozen.from)
        let tag = try #require(frozen.position)
        #expect(try fixture.ring.tags.contains { $0.contains(tag) })
        try fixture.ring.insert("app.users", from: 10, count: 10)
        try fixture.ring.flush("app.users")
        let sink = MemoryCapture()
        let report = try await frozen.capture(into: sink)
        try await frozen.release()
        #expect(try fixture.ring.tags.isEmpty)
        let target = try RingFixture()
        try await target.restoreFully(target.restore(.init(report: report, capture: sink)))
        #expect(try target.ring.rows("app.users") == 10)
        // Released without a capture, too.
        try await fixture.adapter().freeze().release()
        #expect(try fixture.ring.tags.isEmpty)
    }

    @Test("rows are a fact only where they stood still")
    func countedRows() async throws {
        let fixture = try RingFixture()
        try fixture.ring.insert("app.users", from: 0, count: 10)
        try fixture.ring.insert("app.events", from: 0, count: 7)
        try fixture.ring.fault("writes-meanwhile", #"["app", "events"]"#)
        let copy = try await fixture.capture(
            nil, fixture.adapter(nil, [("count-rows", RingFixture.list(["app.*"]))]))
        #expect(copy.report.facts["app.users rows"] == .count(10))
        #expect(copy.report.facts["app.events rows"] == nil)
        #expect(copy.report.notices.contains { $0.contains("app.events") && $0.contains("7 before") })
    }

    @Test("a wrong user is told as such, with what to do, and the password is in no argument")
    func users() async throws {
        let fixture = try RingFixture()
        try fixture.ring.admin("set", "jmx-user", #"{"name": "backup", "password": "s3cret"}"#)
        let denied = try await failure { try await fixture.capture() }
        #expect(denied.code == .sourceDenied && denied.hint != nil)
        let file = try TemporaryDirectory("jmx")
        try file.write("jmx.password", "backup s3cret\n")
        let jmx = RingFixture.mapping([
            ("user", RingFixture.scalar("backup")), ("password-file", RingFixture.scalar(file("jmx.password"))),
        ])
        _ = try await fixture.capture(
            nil, fixture.adapter(nil, [("connection", RingFixture.mapping([("jmx", jmx)]))]))
        #expect(try !fixture.ring.calls.contains { !$0.hasPrefix("admin ") && $0.contains("s3cret") })
        try fixture.ring.admin("set", "jmx-user", "null")
        try fixture.ring.fault("cql-denied", "true")
        #expect(try await failure { try await fixture.capture() }.code == .sourceDenied)
    }

    @Test("one agent for each node: each takes its own, and says that the others are needed")
    func nodeScope() async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        try fixture.ring.insert("app.users", from: 0, count: 40)
        let more = [("scope", RingFixture.scalar("node")), ("group", RingFixture.scalar("prod"))]
        let copy = try await fixture.capture(nil, fixture.adapter(["node2"], more))
        let record = try CassandraRecord(copy.report.restoreData)
        #expect(record.nodes.map(\.name) == ["node2"] && record.peers.count == 1 && record.group == "prod")
        #expect(copy.report.notices.contains { $0.contains("one node of the ring 'prod'") })
        #expect(try fixture.ring.calls.filter { $0.contains(" snapshot ") }.allSatisfy { $0.contains("-p 7201") })
    }
}

extension RingFixture {
    func capture(_ base: Copy?, _ adapter: CassandraAdapter) async throws -> Copy {
        try await capture(base: base, adapter)
    }
}
