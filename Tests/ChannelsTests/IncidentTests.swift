// SPDX-License-Identifier: Apache-2.0
import Channels
import Domain
import Foundation
import LocalState
import Notifications
import Operations
import Synchronization
import TestSupport
import Testing

/// PagerDuty's Events API v2 as its reference describes it: strict about shape, with incidents by deduplication key.
private final class PagerDutyDouble: Sendable {
    static let key = "0123456789abcdef0123456789abcdef"
    let server: HTTPDouble
    private let state: State

    final class State: Sendable {
        let open = Mutex<[String: String]>([:])
        let isBusy = Mutex(false)
    }

    var open: [String: String] { state.open.withLock { $0 } }
    func setBusy(_ isBusy: Bool) { state.isBusy.withLock { $0 = isBusy } }

    init() throws {
        let state = State()
        self.state = state
        server = try HTTPDouble { request in
            guard request.method == "POST", request.path == "/v2/enqueue" else { return .response(404) }
            if state.isBusy.withLock({ $0 }) { return .response(429) }
            let problems = Self.problems(request)
            guard problems.isEmpty, let event = try? object(request.body) else {
                let body = try JSONSerialization.data(withJSONObject: [
                    "status": "invalid event", "message": "Event object is invalid", "errors": problems,
                ])
                return .response(400, body: Array(body))
            }
            let key = event["dedup_key"] as? String ?? UUID().uuidString
            let severity = (event["payload"] as? [String: Any])?["severity"] as? String
            state.open.withLock { $0[key] = event["event_action"] as? String == "trigger" ? severity : nil }
            let body = try JSONSerialization.data(withJSONObject: [
                "status": "success", "message": "Event processed", "dedup_key": key,
            ])
            return .response(202, body: Array(body))
        }
    }

    private static func problems(_ request: HTTPDouble.Request) -> [String] {
        guard request.header("Content-Type") == "application/json", let event = try? object(request.body) else {
            return ["Event object is not valid JSON"]
        }
        var problems: [String] = []
        let known: Set = [
            "routing_key", "event_action", "dedup_key", "client", "client_url", "payload", "links", "images",
        ]
        for name in Set(event.keys).subtracting(known) { problems.append("'\(name)' is unknown") }
        let key = event["routing_key"] as? String ?? ""
        if key.count != 32 { problems.append("Length of 'routing_key' is incorrect (should be 32 characters)") }
        if key != Self.key { problems.append("'routing_key' is invalid") }
        let action = event["event_action"] as? String ?? ""
        if !["trigger", "acknowledge", "resolve"].contains(action) { problems.append("'event_action' is invalid") }
        let incident = event["dedup_key"] as? String
        if action != "trigger", incident == nil { problems.append("'dedup_key' is missing or blank") }
        if incident.map({ $0.isEmpty || $0.count > 255 }) ?? false { problems.append("'dedup_key' is too long") }
        guard action == "trigger" else { return problems }
        guard let payload = event["payload"] as? [String: Any] else {
            return problems + ["'payload' is missing or blank"]
        }
        let fields: Set = [
            "summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details",
        ]
        for name in Set(payload.keys).subtracting(fields) { problems.append("'payload.\(name)' is unknown") }
        for name in ["summary", "source"] where (payload[name] as? String ?? "").isEmpty {
            problems.append("'payload.\(name)' is missing or blank")
        }
        if (payload["summary"] as? String ?? "").count > 1024 { problems.append("'payload.summary' is too long") }
        if !["critical", "error", "warning", "info"].contains(payload["severity"] as? String ?? "") {
            problems.append("'payload.severity' is invalid (must be one of: critical, warning, error, info)")
        }
        return problems
    }
}

@Suite("PagerDuty incidents")
struct IncidentTests {
    private func site(_ double: PagerDutyDouble, key: String = PagerDutyDouble.key) throws -> (ChannelSite, Plan) {
        var site = try ChannelSite()
        site.secrets = ["KEY": key]
        let kind = NotificationChannel.Kind.pagerDuty(
            PagerDutyChannel(routingKey: secret("KEY"), endpoint: double.server.url))
        return (site, site.plan([site.channel(kind)]))
    }

    @Test("a failing plan is one incident, resolved by the next good run and opened anew by the next failure")
    func life() async throws {
        let double = try PagerDutyDouble()
        let (site, plan) = try site(double)
        var history: [RunRecord] = []
        var keys: [Set<String>] = []
        for outcome in [RunRecord.Outcome.failed, .failed, .partial, .ok, .ok, .failed] {
            let record = site.run(outcome)
            await site.notifier.ended(record, plan: plan, history: history)
            history.append(record)
            keys.append(Set(double.open.keys))
            site.clock.go(86_400)
        }
        let incident: Set = ["salvor/db-1/nightly/run"]
        #expect(keys == [incident, incident, incident, [], [], incident])
        #expect(site.notes.all.isEmpty, "\(site.notes.all)")
        let actions = try double.server.requests.map { try object($0.body)["event_action"] as? String }
        #expect(actions == ["trigger", "trigger", "trigger", "resolve", "trigger"])
        let first = try object(double.server.requests[0].body)
        let payload = try #require(first["payload"] as? [String: Any])
        #expect(payload["class"] as? String == "failed" && payload["component"] as? String == "nightly")
        #expect(payload["severity"] as? String == "error" && payload["source"] as? String == "db-1")
        #expect((payload["summary"] as? String)?.contains("pg_dump ended with 1") == true)
        #expect(try object(double.server.requests[3].body)["payload"] == nil)
    }

    @Test("an incident that could not be opened is opened later, before it is resolved")
    func order() async throws {
        let double = try PagerDutyDouble()
        let (site, plan) = try site(double)
        double.setBusy(true)
        await site.notifier.ended(site.run(.failed), plan: plan, history: [])
        #expect(double.open.isEmpty && site.notes.all.count == 1)
        double.setBusy(false)
        site.clock.go(86_400)
        await site.notifier.ended(site.run(.ok), plan: plan, history: [])
        let actions = try double.server.requests.suffix(2).map { try object($0.body)["event_action"] as? String }
        #expect(actions == ["trigger", "resolve"])
        #expect(double.open.isEmpty)
        #expect(try site.memory.outgoing(plan: "nightly").isEmpty)
    }

    @Test("a test opens an incident of its own and resolves it")
    func test() async throws {
        let double = try PagerDutyDouble()
        let (site, plan) = try site(double)
        let deliveries = try await site.notifier.test(plan, channel: nil, lastGood: nil)
        #expect(deliveries.map(\.isDelivered) == [true], "\(deliveries)")
        #expect(double.server.requests.count == 2 && double.open.isEmpty)
    }

    @Test("what is no routing key is not sent; one that PagerDuty does not know is tried again once mended")
    func wrongKey() async throws {
        let double = try PagerDutyDouble()
        let (short, _) = try site(double, key: "short")
        let plan = try site(double).1
        let refused = await short.sender.send(short.message(), to: plan.channels[0])
        #expect(refused.failure?.code == .configuration && double.server.requests.isEmpty)
        let (wrong, _) = try site(double, key: String(repeating: "f", count: 32))
        let outcome = await wrong.sender.send(wrong.message(), to: plan.channels[0])
        #expect(outcome.hope == .later(after: nil))
        #expect(outcome.failure?.summary.contains("'routing_key' is invalid") == true)
    }

    @Test("a plan's severity overrides the event's; long names still give a key that fits")
    func details() async throws {
        let double = try PagerDutyDouble()
        var (site, plan) = try site(double)
        let settings = PagerDutyChannel(
            routingKey: secret("KEY"), endpoint: double.server.url, severity: .critical)
        plan.channels = [site.channel(.pagerDuty(settings))]
        site.secrets["KEY"] = PagerDutyDouble.key
        var message = site.message(what: String(repeating: "long ", count: 600))
        message.host = String(repeating: "h", count: 250)
        #expect(await site.sender.send(message, to: plan.channels[0]).isDelivered)
        #expect(double.open.values.first == "critical")
    }
}

@Suite("Slack messages")
struct SlackTests {
    /// What Slack answers to a message, as far as its reference tells.
    private static func reply(_ request: HTTPDouble.Request) -> HTTPDouble.Reply {
        func answer(_ status: Int, _ text: String) -> HTTPDouble.Reply { .response(status, body: Array(text.utf8)) }
        guard request.path == "/services/T000/B000/XXXX" else { return answer(404, "no_service") }
        guard request.header("Content-Type") == "application/json", let payload = try? object(request.body) else {
            return answer(400, "invalid_payload")
        }
        guard let text = payload["text"] as? String, !text.isEmpty else { return answer(400, "no_text") }
        guard let blocks = payload["blocks"] as? [[String: Any]], blocks.count <= 50 else {
            return answer(400, "invalid_blocks")
        }
        for block in blocks {
            guard let inner = block["text"] as? [String: Any], let text = inner["text"] as? String, !text.isEmpty else {
                return answer(400, "invalid_blocks")
            }
            switch (block["type"] as? String, inner["type"] as? String) {
            case ("header", "plain_text"): if text.count > 150 { return answer(400, "invalid_blocks") }
            case ("section", "mrkdwn"): if text.count > 3000 { return answer(400, "invalid_blocks") }
            default: return answer(400, "invalid_blocks")
            }
        }
        return answer(200, "ok")
    }

    @Test("a message has its title, reasons and commands, and no mark of Slack's that comes from elsewhere")
    func shape() async throws {
        let server = try HTTPDouble { Self.reply($0) }
        var site = try ChannelSite()
        site.secrets = ["URL": "\(server.url)/services/T000/B000/XXXX"]
        let channel = site.channel(.slack(url: secret("URL")))
        var message = site.message(what: "<!channel> & <https://evil.test|click>")
        message.log = (0..<500).map { "line \($0) with ``` in it" }
        let outcome = await site.sender.send(message, to: channel)
        #expect(outcome.isDelivered, "\(outcome)")
        let text = String(decoding: try #require(server.requests.first).body, as: UTF8.self)
        #expect(!text.contains("<!channel>") && text.contains("&lt;!channel&gt; &amp; &lt;https://evil.test"))
        #expect(text.contains("salvor doctor nightly") && text.contains("20261031T110000Z-nightly-k3f9qz"))
        for event in [NotificationEvent.recovered, .failed] {
            #expect(await site.sender.send(site.message(event), to: channel).isDelivered)
        }
    }

    @Test(
        "Slack's errors are told in its own words; a message it cannot read is not sent again",
        arguments: [
            (400, "invalid_payload", false), (403, "action_prohibited", true), (404, "channel_not_found", true),
            (410, "channel_is_archived", true), (500, "rollup_error", true), (429, "rate_limited", true),
        ] as [(Int, String, Bool)])
    func errors(status: Int, word: String, isTriedAgain: Bool) async throws {
        let server = try HTTPDouble { _ in .response(status, body: Array(word.utf8)) }
        var site = try ChannelSite()
        site.secrets = ["URL": "\(server.url)/services/T000/B000/XXXX"]
        let outcome = await site.sender.send(site.message(), to: site.channel(.slack(url: secret("URL"))))
        #expect(outcome.failure?.summary.contains(word) == true)
        #expect((outcome.hope == .later(after: nil)) == isTriedAgain)
        #expect(outcome.failure?.summary.contains("XXXX") == false)
    }

    @Test("a secret URL is not sent in the clear over the network")
    func clear() async throws {
        var site = try ChannelSite()
        for url in ["http://hooks.example.com/services/T/B/X", "http://127.0.0.1.example.com/x", "hooks.slack.com/x"] {
            site.secrets = ["URL": url]
            let outcome = await site.sender.send(site.message(), to: site.channel(.slack(url: secret("URL"))))
            #expect(outcome.failure?.code == .configuration && outcome.failure?.summary.contains(url) == false)
        }
    }
}
