// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import TestSupport
import Testing

@Suite("Channels in plans")
struct NotifyReaderTests {
    private func channels(_ yaml: String) throws -> [NotificationChannel] {
        let document = try YAMLDocument.parse(smallPlan(more: "notify:\n\(yaml)"), file: "p.yaml")
        return try PlanReader(adapters: ["files"]).plan(document).channels
    }

    private func failure(_ entry: String) throws -> Failure {
        try #require(throws: Failure.self) { _ = try channels("  - \(entry)") }
    }

    @Test("every kind is read, with names, events and limits of its own")
    func kinds() throws {
        let read = try channels(
            """
              - email: {to: [ops@example.com, b@c.de], from: salvor@example.com, smtp: "smtp://mail.example.com", user: u, password: env:P}
                on: [failed, partial]
                include-log: true
                remind: 12h
              - email: {to: ops@example.com, smtp: "smtps://[::1]", time-limit: 30s, ca-file: /etc/ca.pem}
              - slack: {webhook-url: file:/etc/salvor/slack}
              - pagerduty: {routing-key: credential:pd, region: eu, severity: critical}
                name: pager
              - webhook: {url: "https://hooks.example.com/x", secret: env:S, token: env:T}
              - webhook: {url: env:URL}
              - ping: {base-url: env:PING}
            """)
        #expect(read.map(\.name) == ["email", "email-2", "slack", "pager", "webhook", "webhook-2", "ping"])
        #expect(read[0].events == [.failed, .partial] && read[0].includesLog && read[0].reminderSeconds == 43_200)
        #expect(read[1].events == NotificationEvent.standard && !read[1].includesLog)
        #expect(read[1].timeLimit == 30 && read[1].caFile == "/etc/ca.pem")
        guard case .email(let first) = read[0].kind, case .email(let second) = read[1].kind,
            case .pagerDuty(let pager) = read[3].kind, case .webhook(let hook) = read[4].kind,
            case .webhook(let kept) = read[5].kind, case .plain("https://hooks.example.com/x") = hook.url,
            case .kept(let reference) = kept.url
        else {
            Issue.record("another kind")
            return
        }
        #expect(first.port == 587 && first.security == .required && first.host == "mail.example.com")
        #expect(second.port == 465 && second.security == .implicit && second.host == "[::1]")
        #expect(pager.endpoint == "https://events.eu.pagerduty.com" && pager.severity == .critical)
        #expect(reference.kind == .environment("URL"))
    }

    @Test(
        "a mail server on this host needs no TLS, any other one does",
        arguments: [
            ("smtp://localhost:25", EmailChannel.Security.off, 25), ("smtp://127.0.0.1", .off, 25),
            ("smtp://mail.example.com", .required, 25), ("smtp://mail.example.com:2525", .required, 2525),
        ])
    func security(smtp: String, security: EmailChannel.Security, port: Int) throws {
        guard case .email(let email)? = try channels("  - email: {to: a@b.c, smtp: \"\(smtp)\"}").first?.kind else {
            Issue.record("no e-mail")
            return
        }
        #expect(email.security == security && email.port == port)
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var entry: String
        var says: String
        var hint: String?
        var testDescription: String { entry }

        init(_ entry: String, _ says: String, _ hint: String? = nil) {
            (self.entry, self.says, self.hint) = (entry, says, hint)
        }
    }

    static let mistakes = [
        Mistake("email: {smtp: \"smtp://x\"}", "p.yaml:7: 'notify[0].email.to' must list at least one address"),
        Mistake(
            "email: {to: \"Ops <a@b.c>\", smtp: \"smtp://x\"}",
            "p.yaml:7: 'notify[0].email.to' 'Ops <a@b.c>' is not a mail address"),
        Mistake(
            "email: {to: \"a@b.c\\r\\nRCPT TO:<x@y.z>\", smtp: \"smtp://x\"}",
            "p.yaml:7: 'notify[0].email.to' 'a@b.c\r\nRCPT TO:<x@y.z>' is not a mail address"),
        Mistake(
            "email: {to: a@b.c, smtp: mail}", "p.yaml:7: 'notify[0].email.smtp' is not the address of a mail server"),
        Mistake(
            "email: {to: a@b.c, smtp: \"smtp://u:p@mail\"}",
            "p.yaml:7: 'notify[0].email.smtp' must not hold a user or password", "Use the keys user and password."),
        Mistake(
            "email: {to: a@b.c, smtp: \"smtp://mail\", user: u}",
            "p.yaml:7: 'notify[0].email.password' is required beside the other one"),
        Mistake(
            "email: {to: a@b.c, smtp: \"smtp://mail\", tls: off, user: u, password: env:P}",
            "p.yaml:7: 'notify[0].email.password' would be sent in the clear"),
        Mistake(
            "email: {to: a@b.c, smtp: \"smtp://mail\", passwort: env:P}",
            "p.yaml:7: unknown key 'notify[0].email.passwort'",
            "Did you mean 'password'?"),
        Mistake(
            "email: {to: a@b.c, smtp: \"smtp://mail\", time-limit: 1h}",
            "p.yaml:7: 'notify[0].email.time-limit' must be from 1s to 5m"),
        Mistake("slack: {}", "p.yaml:7: 'notify[0].slack.webhook-url' is required"),
        Mistake(
            "pagerduty: {routing-key: env:K, region: eu, endpoint: \"https://x\"}",
            "p.yaml:7: 'notify[0].pagerduty.endpoint' cannot stand beside region"),
        Mistake(
            "{pagerduty: {routing-key: env:K}, on: [success]}",
            "p.yaml:7: 'notify[0].on' cannot have 'success': PagerDuty hears of trouble and its end"),
        Mistake(
            "webhook: {url: \"ftp://x\"}",
            "p.yaml:7: 'notify[0].webhook.url' must begin with https:// or http://, or be a reference (file:, env:)"),
        Mistake(
            "webhook: {url: \"https://u:p@x/\"}", "p.yaml:7: 'notify[0].webhook.url' must not hold a user or password"),
        Mistake(
            "webhook: {url: \"http://x/\", token: env:T}",
            "p.yaml:7: 'notify[0].webhook.token' would be sent in the clear"
        ),
        Mistake("ping: {start-url: env:S}", "p.yaml:7: 'notify[0].ping.base-url' is required"),
        Mistake("{ping: {base-url: env:S}, on: [failed]}", "p.yaml:7: 'notify[0].on' does not fit a ping"),
        Mistake("{slack: {webhook-url: env:S}, on: []}", "p.yaml:7: 'notify[0].on' must list at least one event"),
        Mistake("{slack: {webhook-url: env:S}, remind: 5m}", "p.yaml:7: 'notify[0].remind' must be at least 1h"),
        Mistake("{slack: {webhook-url: env:S}, name: \"a b\"}", "p.yaml:7: 'notify[0].name' 'a b' is not a name"),
        Mistake("{slak: {}}", "p.yaml:7: unknown key 'notify[0].slak'", "Did you mean 'slack'?"),
    ]

    @Test("a mistake is told with its line and remedy", arguments: mistakes)
    func mistake(_ mistake: Mistake) throws {
        let found = try failure(mistake.entry)
        #expect(found.code == .configuration && found.summary == mistake.says)
        if let hint = mistake.hint { #expect(found.hint == hint) }
    }

    @Test("what refers to a secret is known to timers, a webhook's address as well when it is one")
    func references() throws {
        let yaml = """
              - webhook: {url: credential:hook, secret: env:S}
              - webhook: {url: "https://hooks.example.com/x"}
            """
        let document = try YAMLDocument.parse(smallPlan(more: "notify:\n\(yaml)"), file: "p.yaml")
        let found = try PlanReader(adapters: ["files"]).plan(document).secrets.map(\.kind)
        #expect(found == [.credential("hook"), .environment("S")])
    }

    @Test("two channels of one name are refused")
    func twice() throws {
        let failure = #expect(throws: Failure.self) {
            try channels("  - {slack: {webhook-url: env:A}, name: x}\n  - {slack: {webhook-url: env:B}, name: x}")
        }
        #expect(failure?.summary == "p.yaml:8: 'notify[1].name' 'x' is another channel's already")
    }

    @Test(
        "a secret written into a plan that others can read is refused",
        arguments: [
            "slack: {webhook-url: \"https://hooks.slack.com/services/T/B/X\"}",
            "ping: {base-url: \"https://hc-ping.com/u\"}",
            "pagerduty: {routing-key: 0123456789abcdef0123456789abcdef}",
            "webhook: {url: \"https://x/\", secret: s3cret}",
            "email: {to: a@b.c, smtp: \"smtp://m\", user: u, password: hunter2}",
        ])
    func literal(entry: String) throws {
        let folder = try TemporaryDirectory("literal")
        let file = try folder.write("plan.yaml", smallPlan(more: "notify:\n  - \(entry)"))
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        let failure = #expect(throws: Failure.self) { try PlanDirectory.load(file) }
        #expect(failure?.code == .configuration && failure?.summary.contains("holds a secret itself") == true)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        let loaded = try PlanDirectory.load(file)
        #expect(loaded.warnings.count == 1)
        let printed = try ConfigPrinter.yaml(loaded.plans[0])
        for secret in ["T/B/X", "hc-ping", "0123456789abcdef0123", "s3cret", "hunter2"] {
            #expect(!printed.contains(secret), "\(printed)")
        }
    }
}
