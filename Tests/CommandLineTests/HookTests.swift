// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Programs around a backup.
@Suite("Hooks")
struct HookTests {
    /// A site whose hooks are these YAML lines; `log WORD…` is a program that appends its words and salvor's variables.
    private func site(_ hooks: String) async throws -> Site {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        try site.folder.write("etc/app.conf", "listen 80\n")
        try site.folder.write(
            "log",
            """
            #!/bin/sh
            printf '%s plan=%s hook=%s bundle=%s outcome=%s error=%s\\n' "$*" "$SALVOR_PLAN" "$SALVOR_HOOK" \
            "$SALVOR_BUNDLE" "$SALVOR_OUTCOME" "$SALVOR_ERROR" >>\(site.folder("calls"))
            """)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: site.folder("log"))
        let text = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        let items = hooks.split(separator: "\n").map { "  \($0)\n" }.joined()
        try site.folder.write(
            "plan.yaml", text + "\nhooks:\n" + items.replacingOccurrences(of: "$DIR", with: site.folder.path))
        return site
    }

    private func calls(_ site: Site) throws -> [String] {
        guard FileManager.default.fileExists(atPath: site.folder("calls")) else { return [] }
        return try String(contentsOfFile: site.folder("calls"), encoding: .utf8).split(separator: "\n").map(String.init)
    }

    /// Programs that name the site's folder and are not gpg's agents.
    private func processes(_ site: Site) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid in
            guard Int(pid) != nil, let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else {
                return nil
            }
            let text = String(decoding: line.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
            return text.contains(site.folder.path) && !text.contains("gpg-agent") ? text : nil
        }
    }

    @Test("they run in order, know the plan, the bundle and how it ended, and no shell is between")
    func order() async throws {
        let site = try await site(
            """
            before: [{run: [$DIR/log, one]}, {run: [$DIR/log, "two  $HOME; exit 1"]}, {run: [printf, "said\\nmore\\n"]}]
            after: [{run: [$DIR/log, three]}]
            failure: [{run: [$DIR/log, never]}]
            """)
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let bundle = try #require(try await site.bundles().first)
        #expect(
            try calls(site) == [
                "one plan=nightly hook=before bundle= outcome= error=",
                "two  $HOME; exit 1 plan=nightly hook=before bundle= outcome= error=",
                "three plan=nightly hook=after bundle=\(bundle) outcome=ok error=",
            ])
        #expect(outcome.errors.contains("hook before[2] (printf): said\n"), "\(outcome.errors)")
        #expect(outcome.errors.contains("hook before[2] (printf): more\n"))
    }

    @Test("a 'before' that fails refuses the run; what is after, and for failures, runs all the same")
    func refused() async throws {
        let site = try await site(
            """
            before: [{run: [$DIR/log, one]}, {run: [sh, -c, "echo no room >&2; exit 7"]}, {run: [$DIR/log, never]}]
            after: [{run: [$DIR/log, undo]}]
            failure: [{run: [$DIR/log, tell]}]
            """)
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 4, "\(outcome.errors)")
        #expect(outcome.errors.contains("hook before[1] (sh) failed (exit status 7): no room"), "\(outcome.errors)")
        #expect(try await site.bundles().isEmpty)
        let calls = try calls(site)
        #expect(calls.map { $0.prefix { $0 != " " } } == ["one", "undo", "tell"])
        #expect(calls.last?.contains("hook=failure bundle= outcome=failed error=hook before[1] (sh) failed") == true)
        // The night is on record as failed.
        #expect(try await site.ok(["list-runs"]).contains("preflight.refused"))
    }

    @Test("with 'continue' it is told and no more; a program that is not there is a failure like others")
    func goesOn() async throws {
        let site = try await site(
            """
            before: [{run: [false], on-failure: continue}, {run: [/no/such/program], on-failure: continue}]
            after: [{run: [false]}, {run: [$DIR/log, after]}]
            """)
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("hook before[0] (false) failed (exit status 1); going on"))
        #expect(outcome.errors.contains("hook before[1] (/no/such/program): unable to start"), "\(outcome.errors)")
        #expect(outcome.errors.contains("hook after[0] (false) failed"))
        #expect(try calls(site).count == 1)
    }

    @Test("an 'after' that says stop fails the command, with the bundle committed and named")
    func afterwards() async throws {
        let site = try await site(
            "after: [{run: [false], on-failure: stop}, {run: [$DIR/log, never]}]\nfailure: [{run: [$DIR/log, never]}]")
        let outcome = try await site.host.run(["backup", "--json"])
        #expect(outcome.status == 1, "\(outcome.errors)")
        let bundle = try #require(try await site.bundles().first)
        #expect(outcome.output.contains("program.failed") && outcome.output.contains(bundle))
        #expect(try calls(site).isEmpty)
    }

    @Test("no 'before' could be started: nothing has to be undone")
    func nothingStarted() async throws {
        let site = try await site(
            "before: [{run: [/no/such/program]}]\nafter: [{run: [$DIR/log, after]}]\nfailure: [{run: [$DIR/log, tell]}]"
        )
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 4, "\(outcome.errors)")
        #expect(try calls(site).map { $0.prefix { $0 != " " } } == ["tell"])
    }

    @Test("a hook that hangs is ended with all it started, when its time is over")
    func hangs() async throws {
        let site = try await site(
            """
            before: [{run: [sh, -c, "sleep 600 & sleep 600; : $DIR"], time-limit: 1s}]
            after: [{run: [$DIR/log, undo]}]
            """)
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 4, "\(outcome.errors)")
        #expect(outcome.errors.contains("hook before[0] (sh) was stopped by its time limit of 1s"), "\(outcome.errors)")
        #expect(try calls(site).count == 1)
        #expect(try processes(site) == [])
    }

    @Test("a hook that leaves a child behind with its output is waited for, but not for ever")
    func leavesChild() async throws {
        let site = try await site(
            "before: [{run: [sh, -c, \"sleep 600 & : $DIR\"], time-limit: 2s, on-failure: continue}]")
        let begun = ContinuousClock.now
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("time limit of 2s"), "\(outcome.errors)")
        #expect(ContinuousClock.now - begun < .seconds(60))
    }

    @Test("Ctrl-C during a hook ends it, and what is after it runs before the command ends with its status")
    func interrupted() async throws {
        for (signal, status) in [(SIGINT, Int32(130)), (SIGTERM, 143)] {
            let site = try await site(
                """
                before: [{run: [sh, -c, "touch $DIR/reached; sleep 600"]}]
                after: [{run: [$DIR/log, undo]}]
                failure: [{run: [$DIR/log, tell]}]
                """)
            let reached = site.folder("reached")
            let outcome = try await site.host.run(
                ["backup"], when: { FileManager.default.fileExists(atPath: reached) }, signal: signal)
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(try calls(site).map { $0.prefix { $0 != " " } } == ["undo", "tell"])
            #expect(try calls(site).last?.contains("outcome=failed error=interrupted") == true)
            #expect(try processes(site) == [])
            #expect(try await site.bundles().isEmpty)
        }
    }

    @Test("a run of some sources that fail tells the failure hooks, and so does one that is locked out")
    func failures() async throws {
        let site = try await site("failure: [{run: [$DIR/log, tell]}]\nbefore: [{run: [$DIR/log, before]}]")
        let text = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml",
            text.replacing(
                "sources:\n", with: "sources:\n  - {name: gone, adapter: sqlite, path: \(site.folder("no.db"))}\n"))
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 3, "\(outcome.errors)")
        let bundle = try #require(try await site.bundles().first)
        #expect(try calls(site).last?.contains("bundle=\(bundle) outcome=partial error=gone failed") == true)
        let lock = open(site.folder("state/locks/nightly.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        #expect(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
        #expect(try await site.host.run(["backup"]).status == 6)
        close(lock)
        let calls = try calls(site)
        #expect(calls.map { $0.prefix { $0 != " " } } == ["before", "tell", "tell"])
        #expect(calls.last?.contains("outcome=failed error=another run") == true)
    }
}
