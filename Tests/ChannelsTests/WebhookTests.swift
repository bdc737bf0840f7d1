// SPDX-License-Identifier: Apache-2.0
import Channels
import Domain
import Foundation
import LocalState
import Notifications
import Operations
import TestSupport
import Testing

@Suite("Webhooks")
struct WebhookTests {
    @Test("a receiver in another language verifies the signature over id, time and body, and refuses a changed one")
    func signature() async throws {
        let server = try HTTPDouble { _ in .response(204) }
        var site = try ChannelSite()
        let script = """
            import base64, hashlib, hmac, os, sys
            secret, sent = os.environ["SECRET"], os.environ["SIGNATURE"]
            key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
            text = ("%s.%s." % (os.environ["ID"], os.environ["TIME"])).encode() + sys.stdin.buffer.read()
            expected = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
            sys.exit(0 if hmac.compare_digest(expected, sent) else 1)
            """
        for value in ["a shared secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            site.secrets = ["SECRET": value]
            let message = site.message()
            let outcome = await site.sender.send(
                message, to: site.webhook(server.url + "/hook", secret: secret("SECRET")))
            #expect(outcome.isDelivered, "\(outcome)")
            let request = try #require(server.requests.last)
            #expect(request.method == "POST" && request.header("Content-Type") == "application/json")
            #expect(request.header("webhook-id") == message.id && request.header("User-Agent") == "salvor/0.1.0")
            #expect(request.header("webhook-timestamp") == "\(noon.seconds)" && request.header("Expect") == nil)
            let environment = [
                "SECRET": value, "SIGNATURE": request.header("webhook-signature") ?? "", "ID": message.id,
                "TIME": request.header("webhook-timestamp") ?? "",
            ]
            for (body, status) in [(request.body, 0), (request.body + [32], 1)] as [([UInt8], Int32)] {
                let check = try await StockProgram.run(
                    "/usr/bin/python3", ["-c", script], input: body, environment: environment)
                #expect(check.status == status, "\(check.errors)")
            }
            #expect(try JSONDecoder().decode(NotificationMessage.self, from: Data(request.body)) == message)
        }
    }

    @Test("a token goes as a bearer, and an unsigned message has no signature")
    func token() async throws {
        let server = try HTTPDouble { _ in .response(200) }
        var site = try ChannelSite()
        site.secrets = ["TOKEN": "t0ken"]
        let channel = site.channel(.webhook(WebhookChannel(url: .plain(server.url), token: secret("TOKEN"))))
        #expect(await site.sender.send(site.message(), to: channel).isDelivered)
        #expect(server.requests.last?.header("Authorization") == "Bearer t0ken")
        #expect(server.requests.last?.header("webhook-signature") == nil)
    }

    struct Answer: Sendable, CustomTestStringConvertible {
        var status: Int
        var headers: [(String, String)] = []
        var hope: DeliveryOutcome.Hope
        var says: String
        var testDescription: String { "\(status)" }
    }

    static let answers = [
        Answer(status: 500, hope: .later(after: nil), says: "has trouble (status 500): no"),
        Answer(status: 503, headers: [("Retry-After", "120")], hope: .later(after: 120), says: "status 503"),
        Answer(
            status: 429, headers: [("Retry-After", "Sun, 01 Nov 2026 12:05:00 GMT")], hope: .later(after: 300),
            says: "status 429"),
        Answer(status: 400, hope: .never, says: "refuses (status 400): no"),
        Answer(status: 413, hope: .never, says: "refuses"),
        Answer(status: 401, hope: .later(after: nil), says: "refuses (status 401)"),
        Answer(status: 404, hope: .later(after: nil), says: "refuses (status 404)"),
        Answer(
            status: 301, headers: [("Location", "https://elsewhere.test/secret-path")], hope: .later(after: nil),
            says: "sends elsewhere to https://elsewhere.test (status 301)"),
    ]

    @Test("every answer but a success is a failure, tried again where that can help", arguments: answers)
    func answer(_ answer: Answer) async throws {
        let server = try HTTPDouble { _ in .response(answer.status, headers: answer.headers, body: Array("no".utf8)) }
        let site = try ChannelSite()
        let outcome = await site.sender.send(site.message(), to: site.webhook(server.url + "/hook"))
        #expect(outcome.hope == answer.hope)
        #expect(outcome.failure?.summary.contains(answer.says) == true, "\(outcome)")
        // Nobody followed a redirect.
        #expect(server.requests.count == 1)
    }

    @Test("a receiver that hangs costs the time limit; one that breaks is tried later")
    func hangs() async throws {
        let server = try HTTPDouble { _ in .silence }
        let site = try ChannelSite()
        let clock = ContinuousClock()
        let begin = clock.now
        let outcome = await site.sender.send(site.message(), to: site.webhook(server.url, timeLimit: 1))
        #expect(outcome.failure?.summary.contains("took longer than 1 s") == true, "\(outcome)")
        // Any time at all: the receiver would hang for ever. Whoever shares the machine may be slow.
        #expect(clock.now - begin < .seconds(120))
        let broken = try HTTPDouble { _ in .raw([], reset: true) }
        #expect(await site.sender.send(site.message(), to: site.webhook(broken.url)).hope == .later(after: nil))
    }

    @Test("only the authority that is named is trusted; the probe connects and sends nothing")
    func certificates() async throws {
        let sink = try MailSink(.init("https"))
        let site = try ChannelSite()
        let kind = NotificationChannel.Kind.webhook(WebhookChannel(url: .plain("https://localhost:\(sink.port)/hook")))
        let untrusted = await site.sender.send(site.message(), to: site.channel(kind))
        #expect(untrusted.failure?.summary.hasPrefix("no trusted connection to the webhook server") == true)
        let trusted = site.channel(kind, caFile: sink.caFile)
        #expect(await site.sender.probe(trusted).state == .ok)
        #expect(try sink.mails.isEmpty)
        let outcome = await site.sender.send(site.message(), to: trusted)
        #expect(outcome.isDelivered, "\(outcome)")
        #expect(try sink.mails.count == 1)
    }

    @Test("a certificate that ends soon is told days before")
    func expiry() async throws {
        let sink = try MailSink(.init("https"))
        let site = try ChannelSite()
        let channel = site.channel(
            .webhook(WebhookChannel(url: .plain("https://localhost:\(sink.port)/"))), caFile: sink.caFile)
        // The test's certificate lasts thirty days from now, the real one.
        site.clock.go(SystemClock().now().seconds - noon.seconds)
        #expect(await site.sender.certificates(site.plan([channel]), others: []).map(\.state) == [.ok])
        site.clock.go(20 * 86_400)
        let soon = await site.sender.certificates(site.plan([channel]), others: [])
        #expect(soon.map(\.state) == [.warning], "\(soon)")
        #expect(soon.first?.detail.hasPrefix("https://localhost:\(sink.port) has one that ends in ") == true)
        #expect(await site.sender.probe(channel).state == .warning)
    }

    @Test("the published schema has the fields and words of the messages that are sent")
    func schema() async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let schema = try object(
            Data(contentsOf: root.appendingPathComponent("manifests/schema/notification.schema.json")))
        let properties = try #require(schema["properties"] as? [String: [String: Any]])
        var message = try ChannelSite().message()
        let sent = try object(try JSONEncoder().encode(message))
        #expect(Set(properties.keys) == Set(sent.keys))
        #expect(properties["schema"]?["const"] as? String == NotificationMessage.currentSchema)
        func words(_ key: String) -> [String]? { properties[key]?["enum"] as? [String] }
        #expect(words("event") == NotificationEvent.allCases.map(\.rawValue))
        #expect(words("action") == NotificationMessage.Action.allCases.map(\.rawValue))
        #expect(words("severity") == NotificationSeverity.allCases.map(\.rawValue))
        let troubles = try #require(properties["troubles"]?["items"] as? [String: Any])
        #expect(troubles["enum"] as? [String] == TroubleKind.allCases.map(\.rawValue))
        for part in ["lastGood", "run"] {
            let inner = try #require(properties[part]?["properties"] as? [String: Any])
            let keys = try #require(sent[part] as? [String: Any]).keys
            #expect(Set(keys).isSubset(of: Set(inner.keys)), "\(part)")
        }
        // What may be left out is not required, all else is.
        message.lastGood = nil
        message.run = nil
        message.log = nil
        let least = try object(try JSONEncoder().encode(message))
        #expect(Set(schema["required"] as? [String] ?? []) == Set(least.keys))
    }
}
