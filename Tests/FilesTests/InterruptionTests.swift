// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Files

@Suite("Restores that are killed half-way")
struct InterruptionTests {
    /// Two roots (a directory and a file) with old and new content, and a third where nothing lives any more.
    private func scene(include: [String] = []) async throws -> (TreeFixture, [String: [String]], SourceRestore) {
        let tree = try TreeFixture()
        for name in ["dir/a", "dir/sub/b", "dir/gone/c", "dir/gone/d", "file", "lost/x"] {
            try tree.write(name, "captured")
        }
        let settings = ["paths": [tree.root + "/dir", tree.root + "/file", tree.root + "/lost"]]
        let (_, stream, report) = try await tree.capture(try tree.adapter(settings))
        for name in ["dir/a", "dir/sub/b", "dir/new", "file"] { try tree.write(name, "live") }
        try tree.remove("dir/gone")
        try tree.remove("lost")
        return (tree, settings, try tree.restore(stream, report, include: include))
    }

    /// Steps at which to break off; more than there are.
    private static let steps = 0..<14

    @Test(
        "A promotion killed at any step is finished by the next call", arguments: steps, [[], ["a", "b", "c", "file"]])
    func promote(step: Int, include: [String]) async throws {
        let (tree, settings, restore) = try await scene(include: include)
        var adapter = try tree.adapter(settings)
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        adapter.beforeStep = Breaking(after: step).step
        let isKilled = await throwsKilled { try await adapter.promote(restore, journal: journal) }
        adapter.beforeStep = nil
        if isKilled { try await adapter.promote(restore, journal: journal) }
        try await expectPromoted(tree, include)
        let live = try TreeFixture.describe(tree.root)
        try await adapter.rollBack(restore, journal: journal)
        try expectLive(tree)
        #expect(try TreeFixture.describe(tree.root) != live)
    }

    @Test("A promotion killed at any step can be rolled back", arguments: steps, [[], ["a", "b", "c", "file"]])
    func promoteThenRollBack(step: Int, include: [String]) async throws {
        let (tree, settings, restore) = try await scene(include: include)
        var adapter = try tree.adapter(settings)
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        adapter.beforeStep = Breaking(after: step).step
        _ = await throwsKilled { try await adapter.promote(restore, journal: journal) }
        adapter.beforeStep = nil
        try await adapter.rollBack(restore, journal: journal)
        try expectLive(tree)
    }

    @Test(
        "A roll-back killed at any step is finished by the next call", arguments: steps, [[], ["a", "b", "c", "file"]])
    func rollBack(step: Int, include: [String]) async throws {
        let (tree, settings, restore) = try await scene(include: include)
        var adapter = try tree.adapter(settings)
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        try await adapter.promote(restore, journal: journal)
        adapter.beforeStep = Breaking(after: step).step
        _ = await throwsKilled { try await adapter.rollBack(restore, journal: journal) }
        adapter.beforeStep = nil
        try await adapter.rollBack(restore, journal: journal)
        try expectLive(tree)
    }

    @Test("A restore whose journal breaks at any record can be undone", arguments: 0..<8)
    func journal(records: Int) async throws {
        let (tree, settings, restore) = try await scene()
        let adapter = try tree.adapter(settings)
        let first = MemoryJournal(failingAfter: records)
        var isPromoting = false
        do {
            try await adapter.stage(restore, journal: first)
            isPromoting = true
            try await adapter.promote(restore, journal: first)
        } catch is MemoryJournal.Killed {}
        let second = MemoryJournal(await first.recorded)
        if isPromoting {
            try await adapter.rollBack(restore, journal: second)
        } else {
            try await adapter.abandon(restore, journal: second)
        }
        try expectLive(tree)
    }

    @Test("A stage that broke off is begun anew")
    func stage() async throws {
        let (tree, settings, restore) = try await scene()
        let adapter = try tree.adapter(settings)
        let first = MemoryJournal(failingAfter: 1)
        await #expect(throws: MemoryJournal.Killed.self) { try await adapter.stage(restore, journal: first) }
        let second = MemoryJournal(await first.recorded)
        try await adapter.stage(restore, journal: second)
        #expect(try await adapter.verify(restore, journal: second).allSatisfy(\.isEqual))
        try await adapter.promote(restore, journal: second)
        try await expectPromoted(tree, [])
    }

    private func throwsKilled(_ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return false
        } catch is Breaking.Killed {
            return true
        } catch {
            Issue.record(error)
            return true
        }
    }

    private func text(_ tree: TreeFixture, _ name: String) -> String? {
        FileManager.default.contents(atPath: "\(tree.root)/\(name)").map { String(decoding: $0, as: UTF8.self) }
    }

    private func expectPromoted(_ tree: TreeFixture, _ include: [String]) async throws {
        #expect(text(tree, "dir/a") == "captured")
        #expect(text(tree, "dir/sub/b") == "captured")
        #expect(text(tree, "dir/gone/c") == "captured")
        #expect(text(tree, "dir/gone/d") == (include.isEmpty ? "captured" : nil))
        #expect(text(tree, "dir/new") == (include.isEmpty ? nil : "live"))
        #expect(text(tree, "file") == "captured")
        #expect(text(tree, "lost/x") == (include.isEmpty ? "captured" : nil))
    }

    private func expectLive(_ tree: TreeFixture) throws {
        for name in ["dir/a", "dir/sub/b", "dir/new", "file"] { #expect(text(tree, name) == "live", "\(name)") }
        #expect(!FileManager.default.fileExists(atPath: tree.root + "/dir/gone"))
        #expect(!FileManager.default.fileExists(atPath: tree.root + "/lost"))
        let names = try FileManager.default.contentsOfDirectory(atPath: tree.root).sorted()
        #expect(names == ["dir", "file"], "nothing is left beside")
    }
}
