// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import TestSupport
import Testing

/// `salvor notify` as an operator types it, against real receivers.
@Suite("Telling people")
struct NotifyTests {
    private struct Message: Decodable {
        var event: String
        var plan: String
        var isTest: Bool
        var troubles: [String]
        var what: [String]
    }

    /// A site whose plan has these channels, and the recovery-point objective.
    private func site(_ channels: String, objective: String = "26h", _ environment: [String: String] = [:]) async throws
        -> Site
    {
        let site = try await Site.make(
            sources: "- {name: config, adapter: files, paths: [$DIR/etc]}", environment: environment)
        try site.folder.write("etc/app.conf", "listen 80\n")
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml",
            plan.replacing("recovery-point: 26h", with: "recovery-point: \(objective)") + "\nnotify:\n"
                + channels.split(separator: "\n").map { "  \($0)\n" }.joined())
        return site
    }

    private func messages(_ server: HTTPDouble) throws -> [Message] {
        try server.requests.map { try JSONDecoder().decode(Message.self, from: Data($0.body)) }
    }

    @Test("a test goes through every channel, says what became of each, and fails when one does")
    func test() async throws {
        let sink = try MailSink(.init("starttls", user: "backup", password: "correct horse"))
        let server = try HTTPDouble { _ in .response(204) }
        let ca = try #require(sink.caFile)
        let site = try await site(
            """
            - email: {to: [ops@example.com], smtp: "smtp://localhost:\(sink.port)", tls: required, user: backup, password: env:SMTP_PASSWORD, ca-file: \(ca)}
            - webhook: {url: "\(server.url)/hook", secret: env:HOOK_SECRET}
            """, ["SMTP_PASSWORD": "correct horse", "HOOK_SECRET": "s"])
        let good = try await site.host.run(["notify", "test"])
        #expect(good.status == 0, "\(good.errors)")
        #expect(good.output.contains("ok      nightly/email: 250") && good.output.contains("ok      nightly/webhook: "))
        let mail = try #require(try sink.mails.first)
        #expect(mail.text.contains("THIS IS A TEST") && mail.isEncrypted && mail.user == "backup")
        #expect(try messages(server).map(\.isTest) == [true])
        var other = site.host
        other.environment["SMTP_PASSWORD"] = "battery staple"
        let bad = try await other.run(["notify", "test", "--json"])
        #expect(bad.status == 1)
        #expect(bad.output.contains("\"code\" : \"notify.failed\"") && !bad.output.contains("battery"))
        #expect(try messages(server).count == 2)
        let one = try await site.host.run(["notify", "test", "webhook"])
        #expect(one.status == 0)
        #expect(try messages(server).count == 3 && sink.mails.count == 1)
        let typo = try await site.host.run(["notify", "test", "webhok"])
        #expect(typo.status == 2 && typo.errors.contains("Did you mean 'webhook'?"))
        let doctor = try await other.run(["doctor"])
        #expect(doctor.status == 10 && doctor.output.contains("FAILED   channel email: the mail server does not take"))
        #expect(doctor.output.contains("ok       channel webhook: http://127.0.0.1:\(server.port) answers"))
    }

    @Test("a check tells of a missed recovery point once, keeps what nobody takes, and tells of its end")
    func check() async throws {
        let (closed, down) = try LoopbackSocket.refusing()
        defer { withExtendedLifetime(closed) {} }
        let server = try HTTPDouble { _ in .response(200) }
        let site = try await site(
            """
            - webhook: {url: "\(server.url)/hook"}
              on: [overdue, recovered]
            - webhook: {url: "http://127.0.0.1:\(down)/"}
              on: [overdue, recovered]
            """, objective: "1s")
        try await site.ok(["backup"])
        // The bundle grows older than its second while the commands run.
        var checks = 0
        while try messages(server).isEmpty, checks < 50 {
            _ = try await site.host.run(["notify", "check"])
            checks += 1
        }
        #expect(try messages(server).map(\.event) == ["overdue"])
        #expect(try messages(server).first?.what.first?.hasPrefix("the last good bundle is ") == true)
        let again = try await site.host.run(["notify", "check"])
        #expect(again.output.contains("nightly: overdue: "))
        #expect(try messages(server).count == 1)
        let pending = try await site.host.run(["notify", "pending"])
        #expect(pending.status == 0 && pending.output.contains("webhook-2") && pending.output.contains("overdue"))
        let flush = try await site.host.run(["notify", "flush"])
        #expect(
            flush.status == 1
                && flush.output.contains("FAILED  nightly/webhook-2: the webhook server cannot be reached"))
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml",
            plan.replacing("127.0.0.1:\(down)/", with: "127.0.0.1:\(server.port)/second")
                .replacing("recovery-point: 1s", with: "recovery-point: 26h"))
        let mended = try await site.host.run(["notify", "flush"])
        #expect(mended.status == 0, "\(mended.output)")
        let end = try await site.host.run(["notify", "check"])
        #expect(end.status == 0 && end.output.contains("nightly: nothing to tell"), "\(end.output)")
        #expect(try messages(server).map(\.event) == ["overdue", "overdue", "recovered", "recovered"])
        #expect(try await site.ok(["notify", "pending"]).contains("no message waits"))
    }

    @Test("a check that cannot look at the repository says so with the storage's status")
    func unreachable() async throws {
        let server = try HTTPDouble { _ in .response(200) }
        let site = try await site("- webhook: {url: \"\(server.url)/hook\"}")
        try FileManager.default.moveItem(atPath: site.folder("repo"), toPath: site.folder("gone"))
        let check = try await site.host.run(["notify", "check"])
        #expect([5, 7].contains(check.status), "\(check.status) \(check.output)\(check.errors)")
        #expect(check.output.contains("nightly: not looked at"))
    }

    @Test("nights that fail, fail in part and recover are told, and a channel that is down changes no exit status")
    func nights() async throws {
        let (closed, down) = try LoopbackSocket.refusing()
        defer { withExtendedLifetime(closed) {} }
        let hook = try HTTPDouble { _ in .response(200) }
        let pings = try HTTPDouble { _ in .response(200) }
        let sink = try MailSink(.init("smtp"))
        let site = try await Site.make(
            sources: """
                - {name: config, adapter: files, paths: [$DIR/etc]}
                - {name: www, adapter: files, paths: [$DIR/www]}
                """, environment: ["PING": "\(pings.url)/check"])
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml",
            plan + """

                notify:
                  - webhook: {url: "\(hook.url)/hook"}
                  - email: {to: ops@example.com, from: salvor@example.com, smtp: "smtp://127.0.0.1:\(sink.port)"}
                  - webhook: {url: "http://127.0.0.1:\(down)/"}
                    name: down
                  - ping: {base-url: env:PING}
                """)
        let failed = try await site.host.run(["backup"])
        #expect([1, 4].contains(failed.status), "\(failed.status)")
        #expect(failed.errors.contains("warning: channel 'down' of plan 'nightly' did not take 'failed'"))
        try site.folder.write("etc/app.conf", "listen 80\n")
        let partial = try await site.host.run(["backup"])
        #expect(partial.status == 3, "\(partial.errors)")
        try site.folder.write("www/index.html", "hello\n")
        let good = try await site.host.run(["backup"])
        #expect(good.status == 0, "\(good.errors)")
        #expect(try await site.host.run(["backup"]).status == 0)
        #expect(try messages(hook).map(\.event) == ["failed", "partial", "recovered"])
        #expect(try messages(hook)[1].what.contains { $0.hasPrefix("www: ") })
        #expect(try sink.mails.map { $0.text.contains("recovered") } == [false, false, true])
        #expect(
            pings.requests.map(\.target) == [
                "/check/start", "/check/fail", "/check/start", "/check/fail", "/check/start", "/check", "/check/start",
                "/check",
            ])
        let pending = try await site.ok(["notify", "pending", "--json"])
        #expect(pending.matches(of: /"channel" : "down"/).count == 3)
    }

    @Test("a run that was killed is told of by the next check, before any other run")
    func killed() async throws {
        let server = try HTTPDouble { _ in .response(200) }
        let site = try await site("- webhook: {url: \"\(server.url)/hook\"}")
        try await site.ok(["backup"])
        let begun = site.folder("state/runs/nightly/begun.json")
        let killed = try await site.host.run(["backup"], when: { FileManager.default.fileExists(atPath: begun) })
        // Killed in time, or over already: then there is nothing to tell.
        let check = try await site.host.run(["notify", "check"])
        #expect(check.status == 0, "\(check.output)\(check.errors)")
        let events = try messages(server).map(\.event)
        #expect(events == (killed.status == 0 ? [] : ["failed"]))
        guard killed.status != 0 else { return }
        #expect(try messages(server).first?.what.first?.hasPrefix("the run was killed") == true)
        try await site.ok(["backup"])
        #expect(try messages(server).map(\.event) == ["failed", "recovered"])
    }

    @Test("a message survives a kill in the middle of its delivery, and keeps its id")
    func killedWhileSending() async throws {
        let seen = Seen()
        let server = try HTTPDouble { _ in seen.next() == 1 ? .silence : .response(200) }
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml", plan + "\nnotify:\n  - webhook: {url: \"\(server.url)/hook\", time-limit: 5m}\n")
        let killed = try await site.host.run(["backup"], when: { !server.requests.isEmpty })
        #expect(killed.status == 128 + 9)
        #expect(try await site.ok(["notify", "pending"]).contains("failed"))
        try await site.ok(["notify", "flush"])
        #expect(try messages(server).map(\.event) == ["failed", "failed"])
        #expect(Set(server.requests.map { $0.header("webhook-id") }).count == 1)
        #expect(try await site.ok(["notify", "pending"]).contains("no message waits"))
    }

    @Test("a validation that finds damage is told, and a bundle that is proven afterwards ends it")
    func validation() async throws {
        let server = try HTTPDouble { _ in .response(200) }
        let site = try await site("- webhook: {url: \"\(server.url)/hook\"}")
        try await site.ok(["backup"])
        let bundle = try #require(try await site.bundles().first)
        let table = try #require(
            FileManager.default.enumerator(atPath: site.folder("repo/bundles"))?.compactMap { $0 as? String }
                .first { $0.hasSuffix("segments.tsv") })
        let file = URL(fileURLWithPath: site.folder("repo/bundles/\(table)"))
        let whole = try Data(contentsOf: file)
        try Data("x".utf8).write(to: file)
        #expect(try await site.host.run(["validate-backup", bundle]).status == 8)
        #expect(try await site.host.run(["validate-backup", bundle]).status == 8)
        #expect(try messages(server).map(\.event) == ["validation-failed"])
        #expect(try messages(server).first?.what.first?.contains(bundle) == true)
        try whole.write(to: file)
        try await site.ok(["validate-backup", bundle])
        #expect(try messages(server).map(\.event) == ["validation-failed", "recovered"])
        #expect(try messages(server).last?.troubles == ["validation"])
    }

    private final class Seen: Sendable {
        private let count = Mutex(0)
        func next() -> Int {
            count.withLock {
                $0 += 1; return $0
            }
        }
    }
}
