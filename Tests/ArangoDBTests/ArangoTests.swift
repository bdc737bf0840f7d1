// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@testable import ArangoDB

@Suite("ArangoDB")
struct ArangoTests {
    private let double: ArangoDouble
    private let work: TemporaryDirectory
    private let journal = MemoryJournal()
    private let notes = MemoryFreezeNotes()

    private static func people(_ count: Int, _ name: String = "person") -> ArangoDouble.Database {
        let documents = (0..<count).map { number -> JSONValue in
            ["_key": .string("\(number)"), "name": .string("\(name) \(number)\n")]
        }
        return [
            "people": documents, "knows": Array(documents.prefix(3)), "empty": [],
            "_graphs": [["_key": "friends"]], "_analyzers": [],
        ]
    }

    init() throws {
        double = try ArangoDouble()
        work = try TemporaryDirectory("arango-work")
        double.put("app", Self.people(50))
        double.put("other", ["things": [["_key": "1"]], "_graphs": []])
        double.putUser("alice", ["app": "rw"])
    }

    private func adapter(
        _ server: ArangoDouble? = nil, password: String = "s3cr@t pass", replaces: Bool = false
    ) throws -> ArangoAdapter {
        let server = server ?? double
        return try ArangoFixture.adapter(
            port: server.port, tool: server.tool, password: password, replaces: replaces, work: work.path, notes)
    }

    private struct Copy {
        var report: CaptureReport
        var capture: MemoryCapture
    }

    private func capture() async throws -> Copy {
        let sink = MemoryCapture()
        return Copy(report: try await adapter().capture(into: sink), capture: sink)
    }

    private func restore(_ copy: Copy, include: [String] = [], rename: String? = nil) throws -> SourceRestore {
        try ArangoFixture.restore(copy.report, copy.capture, include: include, rename: rename, work: work.path)
    }

    /// Stages, verifies and promotes; after a kill, only what is not done.
    private func restoreFully(
        _ restore: SourceRestore, _ journal: any RestoreJournal, _ adapter: ArangoAdapter
    ) async throws {
        let phase = await journal.recorded["phase"]?.string
        if phase != "promoting", phase != "promoted" {
            try await adapter.stage(restore, journal: journal)
            let facts = try await adapter.verify(restore, journal: journal)
            guard !facts.isEmpty, facts.allSatisfy(\.isEqual) else {
                throw Failure(.verifyFailed, "\(facts.filter { !$0.isEqual })")
            }
        }
        try await adapter.promote(restore, journal: journal)
    }

    private var leftInWork: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: work.path) }
    }

    @Test("all databases with system collections and users are in the bundle, and nothing stays beside the server")
    func captures() async throws {
        let copy = try await capture()
        #expect(copy.report.engine == "ArangoDB 3.12.5")
        #expect(copy.report.facts["database app collection people documents"] == .count(50))
        #expect(copy.report.facts["database app collection empty documents"] == .count(0))
        #expect(copy.report.facts["database app graphs"] == .count(1))
        #expect(copy.capture.streams.map(\.name) == ["dump-__system", "dump-app", "dump-other", "users"])
        let tar = String(decoding: copy.capture.bytes("dump-app") ?? [], as: UTF8.self)
        #expect(tar.contains("_graphs_") && tar.contains("person 49"))
        #expect(try leftInWork == [])
        #expect(await notes.all().isEmpty)
        #expect(!"\(copy.report)".contains("s3cr@t"))
    }

    @Test(
        "a dump that loses something, or a tool that fails or says nothing, fails the source and leaves nothing behind",
        arguments: [
            (ArangoDouble.Fault.losesDocuments, "has 49 documents"), (.losesCollection, "lacks collection 'empty'"),
            (.toolFails, "out of disk space"), (.toolSilent, "did not say"),
        ])
    func faults(_ fault: ArangoDouble.Fault, _ words: String) async throws {
        double.put("_system", [:])
        double.put("other", nil)
        double.set(fault)
        await #expect { _ = try await capture() } throws: {
            let failure = $0 as? Failure
            return failure?.hint != nil && failure?.summary.contains("s3cr@t") == false
                && (failure?.summary.contains(words) == true || fault == .losesDocuments)
        }
        #expect(try leftInWork == [])
    }

    @Test("a run that was killed leaves a folder, which the next run removes")
    func leftovers() async throws {
        _ = try await adapter().freeze()  // and never released
        #expect(try leftInWork.count == 1)
        #expect(try await adapter().preflight().contains { $0.name == "left behind" })
        let copy = try await capture()
        #expect(copy.report.notices.contains { $0.contains("earlier run left behind") })
        #expect(try leftInWork == [])
    }

    @Test("a missing database is restored under its own name, with its users, and rolled back to nothing")
    func anew() async throws {
        let before = try #require(double.databases["app"])
        let copy = try await capture()
        double.put("app", nil)
        double.putUser("alice", [:])
        let restore = try restore(copy, include: ["app"])
        #expect(try await adapter().planRestore(restore).blockers == [])
        try await restoreFully(restore, journal, try adapter())
        #expect(double.databases["app"] == before)
        #expect(double.databases["app__salvor_k3f9"] == nil)
        #expect(double.users["alice"]?["app"] == "rw")
        try await adapter().rollBack(restore.place, journal: journal)
        #expect(double.databases["app"] == nil)
        #expect(try leftInWork == [])
    }

    @Test("a live database is left alone unless asked for: the restored one stays beside, with the same rights")
    func beside() async throws {
        let copy = try await capture()
        double.put("app", Self.people(3, "wrong"))
        let restore = try restore(copy, include: ["app"])
        #expect(try await adapter().planRestore(restore).warnings.contains { $0.contains("cannot rename") })
        try await restoreFully(restore, journal, try adapter())
        #expect(double.databases["app"] == Self.people(3, "wrong"))
        #expect(double.databases["app__salvor_k3f9"]?["people"]?.count == 50)
        #expect(double.users["alice"]?["app__salvor_k3f9"] == "rw")
        try await adapter().settle(restore.place, journal: journal)
        #expect(double.databases["app__salvor_k3f9"] != nil)
        #expect(try leftInWork == [])
    }

    @Test("asked for, a live database is replaced, and comes back from its own dump")
    func replace() async throws {
        let before = try #require(double.databases["app"])
        let copy = try await capture()
        double.put("app", Self.people(3, "wrong"))
        let restore = try restore(copy, include: ["app"])
        let adapter = try adapter(replaces: true)
        #expect(try await adapter.planRestore(restore).replaces == ["database app"])
        try await restoreFully(restore, journal, adapter)
        #expect(double.databases["app"] == before)
        try await adapter.rollBack(restore.place, journal: journal)
        #expect(double.databases["app"] == Self.people(3, "wrong"))
        #expect(double.databases["app__salvor_k3f9"] == nil)
        #expect(try leftInWork == [])
    }

    @Test("killed at any record, a replacement is finished or undone by the next attempt", arguments: 0...7)
    func crash(_ records: Int) async throws {
        let before = try #require(double.databases["app"])
        let copy = try await capture()
        let restore = try restore(copy, include: ["app"])
        let adapter = try adapter(replaces: true)
        for finishes in [true, false] {
            double.put("app", Self.people(3, "wrong"))
            let dying = MemoryJournal(failingAfter: records)
            do { try await restoreFully(restore, dying, adapter) } catch is MemoryJournal.Killed {}
            let next = MemoryJournal(await dying.recorded)
            if finishes {
                try await restoreFully(restore, next, adapter)
                #expect(double.databases["app"] == before)
                try await adapter.settle(restore.place, journal: next)
            } else {
                try await adapter.rollBack(restore.place, journal: next)
                #expect(double.databases["app"] == Self.people(3, "wrong"))
            }
            #expect(double.databases["app__salvor_k3f9"] == nil)
            #expect(try leftInWork == [])
        }
    }

    @Test("users that are missing are made without access; a restore that loses documents is not promoted")
    func usersAndLosses() async throws {
        let copy = try await capture()
        let other = try ArangoDouble()
        let adapter = try adapter(other)
        let restore = try restore(copy)
        other.set(.restoresLess)
        await #expect(throws: Failure.self) { try await restoreFully(restore, journal, adapter) }
        try await adapter.abandon(restore.place, journal: journal)
        #expect(Array(other.databases.keys) == ["_system"])
        other.set(nil)
        let again = MemoryJournal()
        try await restoreFully(restore, again, adapter)
        #expect(other.databases.keys.sorted() == ["_system", "app", "other"])
        #expect(other.inactiveUsers == ["alice"])
        #expect(again.notes.contains { $0.contains("'alice' was made, not active") })
        try await adapter.rollBack(restore.place, journal: again)
        #expect(Array(other.databases.keys) == ["_system"] && Array(other.users.keys) == ["root"])
    }

    @Test("version skew of server and tools is refused before anything is made")
    func versions() async throws {
        let copy = try await capture()
        let old = try ArangoDouble(version: "3.11.9")
        let restore = try restore(copy)
        #expect(try await adapter(old).planRestore(restore).blockers.contains { $0.contains("older than 3.12.5") })
        await #expect(throws: Failure.self) { try await adapter(old).stage(restore, journal: journal) }
        let skewed = try ArangoDouble(toolVersion: "3.11.0")
        #expect(try await adapter(skewed).preflight().contains { $0.code == Failure.Code.versionRefused.text })
        await #expect(throws: Failure.self) { _ = try await adapter(skewed).capture(into: MemoryCapture()) }
        #expect(Array(old.databases.keys) == ["_system"])
        #expect(try leftInWork == [])
        #expect(try await adapter(password: "wrong").preflight().first?.code == Failure.Code.sourceDenied.text)
    }
}
