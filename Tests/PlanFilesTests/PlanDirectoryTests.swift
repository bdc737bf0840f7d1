// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import Testing
import TestSupport

@Suite("Configuration directories")
struct PlanDirectoryTests {
    @Test("all plans of a directory are read, in order of name, with the host's settings and defaults")
    func directory() throws {
        let folder = try TemporaryDirectory()
        try folder.write(
            "salvor.yaml",
            """
            host: db-1
            state-directory: /var/lib/salvor
            defaults:
              encryption: {recipients: [FEDCBA9876543210FEDCBA9876543210FEDCBA98]}
              objectives: {recovery-point: 2d}
            """)
        let own = smallPlan("weekly").split(separator: "\n").filter { !$0.hasPrefix("encryption") }
        try folder.write("plans/a.yaml", own.joined(separator: "\n"))
        try folder.write("plans/b.yml", smallPlan("nightly"))
        try folder.write("plans/notes.txt", "not: a: plan")
        let loaded = try PlanDirectory.load(folder.path)
        #expect(loaded.plans.map(\.name) == ["nightly", "weekly"])
        #expect(loaded.host == HostSettings(name: "db-1", stateDirectory: "/var/lib/salvor"))
        let weekly = try loaded.plan(named: "weekly")
        #expect(weekly.encryption.recipients == ["FEDCBA9876543210FEDCBA9876543210FEDCBA98"])
        #expect(weekly.objectives.recoveryPoint == 172_800)
        #expect(weekly.file == folder("plans/a.yaml"))
        let nightly = try loaded.plan(named: "nightly")
        #expect(nightly.encryption.recipients == ["0123456789ABCDEF0123456789ABCDEF01234567"])
        #expect(try PlanDirectory.load(folder("salvor.yaml")).plans.count == 2)
    }

    @Test("a file may be one plan by itself")
    func singleFile() throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write("mine.yaml", smallPlan("mine"))
        let loaded = try PlanDirectory.load(file)
        #expect(try loaded.onlyPlan().name == "mine")
        #expect(loaded.warnings.isEmpty)
    }

    @Test("an unknown plan is answered with the nearest one, and none named with the choice")
    func unknownPlan() throws {
        let folder = try TemporaryDirectory()
        try folder.write("plans/a.yaml", smallPlan("nightly"))
        try folder.write("plans/b.yaml", smallPlan("weekly"))
        let loaded = try PlanDirectory.load(folder.path)
        let near = try #require(throws: Failure.self) { _ = try loaded.plan(named: "nigthly") }
        #expect(near.code == .planNotFound)
        #expect(near.hint == "Did you mean 'nightly'?")
        let far = try #require(throws: Failure.self) { _ = try loaded.plan(named: "something-else") }
        #expect(far.hint == "Plans: nightly, weekly.")
        let none = try #require(throws: Failure.self) { _ = try loaded.onlyPlan() }
        #expect(none.code == .usage)
    }

    @Test("two plans of one name, a broken plan and no plan at all are refused")
    func refused() throws {
        let folder = try TemporaryDirectory()
        let empty = try #require(throws: Failure.self) { _ = try PlanDirectory.load(folder.path) }
        #expect(empty.summary == "no plan in '\(folder("plans"))'")
        try folder.write("plans/a.yaml", smallPlan("nightly"))
        try folder.write("plans/b.yaml", smallPlan("nightly"))
        let twice = try #require(throws: Failure.self) { _ = try PlanDirectory.load(folder.path) }
        #expect(
            twice.summary
                == "\(folder("plans/b.yaml")):1: a plan named 'nightly' is in '\(folder("plans/a.yaml"))' already")
        try folder.write("plans/b.yaml", smallPlan("other", more: "surprise: 1"))
        #expect(throws: Failure.self) { _ = try PlanDirectory.load(folder.path) }
        let missing = try #require(throws: Failure.self) { _ = try PlanDirectory.load(folder("nowhere")) }
        #expect(missing.code == .configuration)
    }

    private static let literal = """
        plan: nightly
        repository: {store: "file:///srv/backups"}
        encryption: {recipients: [0123456789ABCDEF0123456789ABCDEF01234567]}
        sources:
          - name: cache
            adapter: redis
            connection: {host: 127.0.0.1, password: hunter2hunter2}
        """

    @Test("a literal secret is refused in a file others may read, and a warning in one they may not")
    func literalSecret() throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write("plan.yaml", Self.literal)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        let refusal = try #require(throws: Failure.self) { _ = try PlanDirectory.load(file) }
        #expect(refusal.summary == "\(file):7: 'password' holds a secret itself, and '\(file)' is not of mode 0600")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        let loaded = try PlanDirectory.load(file)
        #expect(loaded.warnings.count == 1)
        #expect(!loaded.warnings.joined().contains("hunter2"))
    }

    @Test("printing the plan in force shows defaults and no secret, and reads back as the same plan")
    func printed() throws {
        let folder = try TemporaryDirectory()
        // Only the adapter knows its keys; any of them may hold a URL.
        let text = Self.literal.replacing(
            "hunter2hunter2", with: "hunter2hunter2, url: \"https://u:pa55word@hook.example.com/x\"")
        let file = try folder.write("plan.yaml", text)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        let printed = try ConfigPrinter.yaml(try PlanDirectory.load(file).onlyPlan())
        #expect(!printed.contains("hunter2") && !printed.contains("pa55word"))
        #expect(printed.contains("https://u:<redacted>@hook.example.com/x"))
        #expect(printed.contains("consistency: separate") && printed.contains("local-base: on"))

        let example = try PlanDirectory.load(ExampleFiles.path("manifests/plans/nightly.yaml")).onlyPlan()
        let once = try ConfigPrinter.yaml(example)
        let again = try PlanReader(adapters: PlanDirectory.knownAdapters)
            .plan(try YAMLDocument.parse(once, file: "printed.yaml"))
        #expect(try ConfigPrinter.yaml(again) == once)
        #expect(once.contains("calendar: \"*-*-* 02:00\""))
    }
}
