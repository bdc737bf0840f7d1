// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import LocalState
import Notifications
import Operations
import TestSupport
import Testing

@testable import Channels

@Suite("E-mail through real mail servers")
struct EmailTests {
    private func email(
        _ port: Int, _ security: EmailChannel.Security = .off, to: [String] = ["ops@example.com"], user: String? = nil
    ) -> NotificationChannel.Kind {
        .email(
            EmailChannel(
                to: to, from: "salvor@db-1.example.com", host: "localhost", port: port, security: security, user: user,
                password: user == nil ? nil : secret("PASSWORD")))
    }

    /// What another program's mail parser makes of a message.
    struct Parsed: Decodable {
        var subject: String
        var date: String
        var from: String
        var to: [String]
        var id: String
        var references: String
        var type: String
        var body: String
        var defects: Int
        var longest: Int
    }

    private func parsed(_ mail: MailSink.Mail) async throws -> Parsed {
        let script = """
            import email, email.policy, json, sys
            raw = sys.stdin.buffer.read()
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            print(json.dumps(dict(
                subject=mail["subject"], date=mail["date"].datetime.isoformat(), id=mail["message-id"],
                references=mail["references"], body=mail.get_content(), type=mail.get_content_type(),
                to=[a.addr_spec for a in mail["to"].addresses], longest=max(map(len, raw.split(b"\\r\\n"))),
                **{"from": mail["from"].addresses[0].addr_spec},
                defects=len(mail.defects) + sum(len(v.defects) for v in mail.values()))))
            """
        let outcome = try await StockProgram.run("/usr/bin/python3", ["-c", script], input: Array(mail.content))
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try JSONDecoder().decode(Parsed.self, from: Data(outcome.output))
    }

    @Test("a mail arrives whole: addresses, date, subject and text, also beyond ASCII and with lone dots")
    func whole() async throws {
        let sink = try MailSink(.init("smtp"))
        let site = try ChannelSite()
        var message = site.message()
        message.title = "[salvor] Nächtliches Backup auf db-1 ist fehlgeschlagen – größer als je zuvor, 日本語"
        message.what = [
            ".", String(repeating: ".", count: 300), "Tür = offen \t", String(repeating: "lång ", count: 200),
        ]
        let outcome = await site.sender.send(
            message, to: site.channel(email(sink.port, to: ["a@example.com", "b@c.de"])))
        #expect(outcome.isDelivered, "\(outcome)")
        let mail = try #require(try sink.mails.first)
        #expect(mail.from == "salvor@db-1.example.com" && mail.to == ["a@example.com", "b@c.de"])
        #expect(mail.hello == "db-1.example.com" && !mail.isEncrypted)
        let parsed = try await parsed(mail)
        #expect(parsed.subject == message.title)
        #expect(parsed.date == "2026-11-01T12:00:00+00:00")
        #expect(parsed.from == "salvor@db-1.example.com" && parsed.to == ["a@example.com", "b@c.de"])
        #expect(parsed.id == "<\(message.id)@db-1.example.com>")
        #expect(parsed.references == "<nightly.run.\(message.since.compact)@db-1.example.com>")
        #expect(parsed.type == "text/plain" && parsed.defects == 0 && parsed.longest <= 78)
        #expect(parsed.body.replacing("\r\n", with: "\n") == message.text())
    }

    @Test("plain text goes as it is")
    func ascii() async throws {
        let sink = try MailSink(.init("smtp"))
        let site = try ChannelSite()
        let message = site.message()
        #expect(await site.sender.send(message, to: site.channel(email(sink.port))).isDelivered)
        let mail = try #require(try sink.mails.first)
        #expect(mail.text.contains("Content-Transfer-Encoding: 7bit\r\n"))
        #expect(mail.text.contains("\r\n  pg_dump ended with 1 (source.failed)\r\n"))
        #expect(mail.text.contains("\r\nAuto-Submitted: auto-generated\r\n"))
    }

    @Test("STARTTLS with an authority of one's own and a password; TLS from the first byte", arguments: [true, false])
    func encrypted(startTLS: Bool) async throws {
        let sink = try MailSink(.init(startTLS ? "starttls" : "smtps", user: "backup", password: "correct horse"))
        var site = try ChannelSite()
        site.secrets = ["PASSWORD": "correct horse"]
        let channel = site.channel(
            email(sink.port, startTLS ? .required : .implicit, user: "backup"), caFile: sink.caFile)
        let outcome = await site.sender.send(site.message(), to: channel)
        #expect(outcome.isDelivered, "\(outcome)")
        let mail = try #require(try sink.mails.first)
        #expect(mail.isEncrypted && mail.user == "backup")
        #expect(await site.sender.probe(channel).state == .ok)
        #expect(try sink.mails.count == 1)
    }

    @Test("a wrong password is told as one, without the password, and tried again later")
    func wrongPassword() async throws {
        let sink = try MailSink(.init("starttls", user: "backup", password: "correct horse"))
        var site = try ChannelSite()
        site.secrets = ["PASSWORD": "battery staple"]
        let channel = site.channel(email(sink.port, .required, user: "backup"), caFile: sink.caFile)
        let outcome = await site.sender.send(site.message(), to: channel)
        #expect(outcome.failure?.code == .notificationFailed)
        #expect(outcome.failure?.summary.hasPrefix("the mail server does not take user and password: 5") == true)
        #expect(outcome.failure?.summary.contains("battery") == false)
        #expect(outcome.hope == .later(after: nil))
        #expect(try sink.mails.isEmpty)
        let check = await site.sender.probe(channel)
        #expect(check.state == .failed && check.detail == outcome.failure?.summary)
    }

    @Test("a certificate of somebody else's authority, and one for another name, get no mail")
    func untrusted() async throws {
        let sink = try MailSink(.init("starttls"))
        let site = try ChannelSite()
        let stranger = try TestCertificates(in: site.folder.path).caFile
        for caFile in [nil, stranger] {
            let outcome = await site.sender.send(
                site.message(), to: site.channel(email(sink.port, .required), caFile: caFile))
            #expect(outcome.failure?.summary.hasPrefix("no trusted connection to the email server") == true)
            #expect(outcome.failure?.hint?.contains("ca-file") == true)
        }
        #expect(try sink.mails.isEmpty)
    }

    @Test("where STARTTLS is required and not offered, neither password nor mail is sent")
    func noStartTLS() async throws {
        let sink = try MailSink(.init("smtp", user: "backup", password: "x"))
        var site = try ChannelSite()
        site.secrets = ["PASSWORD": "correct horse"]
        let outcome = await site.sender.send(
            site.message(), to: site.channel(email(sink.port, .required, user: "backup")))
        #expect(outcome.failure?.summary.hasPrefix("no trusted connection") == true)
        #expect(try sink.mails.isEmpty)
    }

    @Test("a refused recipient is named, and the others get their mail")
    func refused() async throws {
        let sink = try MailSink(.init("smtp", unknown: ["gone@example.com"]))
        let site = try ChannelSite()
        let some = await site.sender.send(
            site.message(), to: site.channel(email(sink.port, to: ["gone@example.com", "ops@example.com"])))
        #expect(some.hope == .laterFor(["gone@example.com"]))
        #expect(some.failure?.summary.contains("gone@example.com: 550 5.1.1 no such user here") == true)
        #expect(try sink.mails.map(\.to) == [["ops@example.com"]])
        let none = await site.sender.send(site.message(), to: site.channel(email(sink.port, to: ["gone@example.com"])))
        #expect(none.failure?.summary == "the mail server refuses: 550 5.1.1 no such user here")
        #expect(none.hope == .later(after: nil))
    }

    @Test("what one receiver did not get is tried again for that one alone, until nobody lacks it")
    func missing() async throws {
        let sink = try MailSink(.init("smtp", unknown: ["gone@example.com"]))
        let site = try ChannelSite()
        let channel = site.channel(email(sink.port, to: ["gone@example.com", "ops@example.com"]))
        await site.notifier.ended(site.run(.failed), plan: site.plan([channel]), history: [])
        #expect(try site.memory.outgoing(plan: "nightly").map(\.missing) == [["gone@example.com"]])
        let again = await site.notifier.deliver(site.plan([channel]), isForced: true)
        #expect(again.map(\.isDelivered) == [false])
        #expect(try sink.mails.map(\.to) == [["ops@example.com"]])
        // Taken out of the plan, nobody is missed.
        let mended = site.channel(email(sink.port, to: ["ops@example.com"]))
        _ = await site.notifier.deliver(site.plan([mended]), isForced: true)
        #expect(try site.memory.outgoing(plan: "nightly").isEmpty)
        #expect(try sink.mails.count == 1)
    }

    @Test("a server that takes no message now is tried later")
    func later() async throws {
        let sink = try MailSink(.init("smtp", answer: "451 4.3.2 come back later"))
        let site = try ChannelSite()
        let outcome = await site.sender.send(site.message(), to: site.channel(email(sink.port)))
        #expect(outcome.failure?.summary == "the mail server refuses: 451 4.3.2 come back later")
        #expect(outcome.hope == .later(after: nil))
    }

    @Test("a server that takes the connection and says nothing costs the time limit, not the night")
    func silent() async throws {
        let (listener, port) = try LoopbackSocket.listening()
        let site = try ChannelSite()
        let clock = ContinuousClock()
        let begin = clock.now
        let outcome = await site.sender.send(site.message(), to: site.channel(email(port), timeLimit: 1))
        #expect(outcome.failure != nil && outcome.hope == .later(after: nil))
        #expect(clock.now - begin < .seconds(120))
        withExtendedLifetime(listener) {}
    }

    @Test("nobody at that port, and a secret that is not there, are failures with a reason")
    func unreachable() async throws {
        let site = try ChannelSite()
        let port = try LoopbackSocket.freePorts(1)[0]
        let outcome = await site.sender.send(site.message(), to: site.channel(email(port)))
        #expect(outcome.failure?.summary.hasPrefix("the email server cannot be reached") == true)
        let missing = await site.sender.send(site.message(), to: site.channel(email(port, .off, user: "backup")))
        #expect(missing.failure?.code == .secretUnavailable)
    }
}

@Suite("Mail headers")
struct MailHeaderTests {
    @Test("dates are those of RFC 5322")
    func dates() {
        #expect(MailMessage.date(Timestamp(seconds: 0)) == "Thu, 1 Jan 1970 00:00:00 +0000")
        #expect(MailMessage.date(noon) == "Sun, 1 Nov 2026 12:00:00 +0000")
        #expect(MailMessage.date(Timestamp(seconds: 951_782_399)) == "Mon, 28 Feb 2000 23:59:59 +0000")
    }

    @Test("quoted-printable keeps lines short and loses nothing", arguments: ["", "a=b", "tail ", "ä\n\n.\n"])
    func quoted(text: String) {
        let lines = MailMessage.quotedPrintable(text + String(repeating: "x", count: 200)).components(
            separatedBy: "\r\n")
        #expect(lines.allSatisfy { $0.utf8.count <= 76 })
    }
}
