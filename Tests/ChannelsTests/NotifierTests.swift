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
import Transports

@Suite("Messages that wait")
struct NotifierTests {
    /// A receiver whose answer can be changed.
    private final class Receiver: Sendable {
        let server: HTTPDouble
        private let status: Status

        final class Status: Sendable { let code = Mutex(200) }

        init() throws {
            let status = Status()
            self.status = status
            server = try HTTPDouble { _ in .response(status.code.withLock { $0 }) }
        }

        func answer(_ code: Int) { status.code.withLock { $0 = code } }

        /// Events in the order they arrived.
        var events: [String] {
            get throws { try server.requests.map { try object($0.body)["event"] as? String ?? "" } }
        }
    }

    @Test("a receiver that is down hears everything later, in order, once; the run is not troubled")
    func waits() async throws {
        let receiver = try Receiver()
        let site = try ChannelSite()
        let plan = site.plan([site.webhook(receiver.server.url)])
        receiver.answer(503)
        await site.notifier.ended(site.run(.failed), plan: plan, history: [])
        #expect(try site.memory.outgoing(plan: "nightly").map(\.attempts) == [1])
        #expect(site.notes.all.count == 1)
        #expect(site.notes.all.first?.contains("did not take 'failed'") == true)
        #expect(site.notes.all.first?.contains("it is tried again from 2026-11-01T12:01:00Z on") == true)
        // Not due yet, and nothing new.
        #expect(await site.notifier.deliver(plan).isEmpty)
        receiver.answer(200)
        site.clock.go(86_400)
        await site.notifier.ended(site.run(.ok), plan: plan, history: [])
        #expect(try receiver.events == ["failed", "failed", "recovered"])
        #expect(try site.memory.outgoing(plan: "nightly").isEmpty)
        #expect(await site.notifier.deliver(plan, isForced: true).isEmpty)
    }

    @Test("one channel that fails keeps none of the others")
    func others() async throws {
        let (bad, good) = (try Receiver(), try Receiver())
        bad.answer(500)
        let site = try ChannelSite()
        var (first, second) = (site.webhook(bad.server.url), site.webhook(good.server.url))
        (first.name, second.name) = ("bad", "good")
        await site.notifier.ended(site.run(.failed), plan: site.plan([first, second]), history: [])
        #expect(try good.events == ["failed"])
        #expect(try site.memory.outgoing(plan: "nightly").map(\.channel) == ["bad"])
    }

    @Test("after three days a message is lost, and the doctor tells of it; what waits can be seen")
    func lost() async throws {
        let receiver = try Receiver()
        receiver.answer(500)
        let site = try ChannelSite()
        let plan = site.plan([site.webhook(receiver.server.url)])
        await site.notifier.ended(site.run(.failed), plan: plan, history: [])
        let registry = AdapterRegistry([], secrets: GivenSecrets(values: [:]), clock: site.clock) { _ in
            LocalTransport()
        }
        let doctor = Doctor(registry: registry, clock: site.clock)
        let waiting = try #require(await doctor.channels(plan, sender: site.sender, memory: site.memory))
        #expect(waiting.checks.map(\.name) == ["channel webhook", "undelivered messages"])
        #expect(waiting.checks.map(\.state) == [.ok, .warning])
        for _ in 0..<40 {
            site.clock.go(6 * 3600)
            _ = await site.notifier.deliver(plan)
        }
        let kept = try site.memory.outgoing(plan: "nightly")
        #expect(kept.count == 1 && kept[0].isLost)
        #expect(receiver.server.requests.count < 20)
        let after = try #require(await doctor.channels(plan, sender: site.sender, memory: site.memory))
        #expect(after.checks.map(\.name) == ["channel webhook", "lost messages"])
        // In the end nobody mourns it any more.
        site.clock.go(30 * 86_400)
        _ = await site.notifier.deliver(plan)
        #expect(try site.memory.outgoing(plan: "nightly").isEmpty)
    }

    @Test("two processes that deliver at once deliver once")
    func together() async throws {
        let receiver = try Receiver()
        receiver.answer(500)
        let site = try ChannelSite()
        let plan = site.plan([site.webhook(receiver.server.url)])
        await site.notifier.ended(site.run(.failed), plan: plan, history: [])
        receiver.answer(200)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<6 { group.addTask { _ = await site.notifier.deliver(plan, isForced: true) } }
        }
        #expect(receiver.server.requests.count == 2)
    }

    @Test("what waits on disk holds no secret, and a secret in a program's words does not leave the host")
    func secrets() async throws {
        let receiver = try Receiver()
        receiver.answer(500)
        var site = try ChannelSite()
        site.secrets = ["SECRET": "hunter2hunter2", "TOKEN": "t0kent0ken"]
        var channel = site.channel(
            .webhook(
                WebhookChannel(url: .plain(receiver.server.url), secret: secret("SECRET"), token: secret("TOKEN"))))
        channel.includesLog = true
        let record = site.run(.failed, what: "fatal: password hunter2hunter2 is wrong")
        await site.notifier.ended(record, plan: site.plan([channel]), history: [])
        let body = String(decoding: try #require(receiver.server.requests.first).body, as: UTF8.self)
        #expect(!body.contains("hunter2") && body.contains("password <redacted> is wrong"))
        let files = try #require(FileManager.default.enumerator(atPath: site.folder("state")))
        var seen = 0
        for case let name as String in files {
            guard let data = FileManager.default.contents(atPath: site.folder("state/\(name)")) else { continue }
            let text = String(decoding: data, as: UTF8.self)
            #expect(!text.contains("hunter2") && !text.contains("t0ken"), "\(name)")
            seen += 1
        }
        #expect(seen >= 2)
        #expect(!site.notes.all.joined().contains("hunter2"))
    }

    @Test("a state folder that cannot be written does not keep the news")
    func noState() async throws {
        let receiver = try Receiver()
        let blocker = try TemporaryDirectory("blocker")
        try blocker.write("file", "x")
        let site = try ChannelSite(state: blocker("file/state"))
        await site.notifier.ended(site.run(.failed), plan: site.plan([site.webhook(receiver.server.url)]), history: [])
        #expect(try receiver.events == ["failed"])
        #expect(site.notes.all.first?.contains("cannot be kept") == true)
    }

    @Test("a channel that left the plan takes its messages with it, visibly")
    func gone() async throws {
        let receiver = try Receiver()
        receiver.answer(500)
        let site = try ChannelSite()
        await site.notifier.ended(site.run(.failed), plan: site.plan([site.webhook(receiver.server.url)]), history: [])
        var other = site.webhook(receiver.server.url)
        other.name = "other"
        _ = await site.notifier.deliver(site.plan([other]), isForced: true)
        let kept = try site.memory.outgoing(plan: "nightly")
        #expect(kept.map(\.isLost) == [true])
        #expect(kept.first?.problem?.message == "the plan has no channel 'webhook' any more")
    }

    @Test("a test of an unknown channel names the nearest one")
    func unknown() async throws {
        let site = try ChannelSite()
        let failure = await #expect(throws: Failure.self) {
            _ = try await site.notifier.test(
                site.plan([site.webhook("http://127.0.0.1:1")]), channel: "webhok", lastGood: nil)
        }
        #expect(failure?.hint == "Did you mean 'webhook'?")
    }
}

@Suite("Dead-man's switches")
struct PingTests {
    private func site(_ server: HTTPDouble, _ suffix: String = "") throws -> (ChannelSite, Plan) {
        var site = try ChannelSite()
        site.secrets = ["URL": "\(server.url)/2f1c7e5a-uuid\(suffix)", "FAIL": "\(server.url)/alarm"]
        return (site, site.plan([site.channel(.ping(PingChannel(base: secret("URL"))))]))
    }

    @Test("start, success and failure of a run are pinged, and nothing else")
    func phases() async throws {
        let server = try HTTPDouble { _ in .response(200, body: Array("OK".utf8)) }
        let (site, plan) = try site(server)
        for outcome in [RunRecord.Outcome.ok, .partial, .failed] {
            await site.notifier.began(site.run(outcome), plan: plan)
            await site.notifier.ended(site.run(outcome), plan: plan, history: [])
        }
        var part = site.run(.failed)
        part.isWhole = false
        await site.notifier.ended(part, plan: plan, history: [])
        let base = "/2f1c7e5a-uuid"
        #expect(
            server.requests.map(\.target)
                == ["\(base)/start", base, "\(base)/start", "\(base)/fail", "\(base)/start", "\(base)/fail"])
        #expect(server.requests.allSatisfy { $0.method == "GET" && $0.body.isEmpty })
        #expect(try site.memory.outgoing(plan: "nightly").isEmpty)
    }

    @Test(
        "the reason goes with it only where it is asked for; a query stays behind the path; own URLs are used as they are"
    )
    func variants() async throws {
        let server = try HTTPDouble { _ in .response(200) }
        var (site, plan) = try site(server, "?create=1")
        plan.channels[0].includesLog = true
        await site.notifier.ended(site.run(.failed), plan: plan, history: [])
        #expect(server.requests.last?.target == "/2f1c7e5a-uuid/fail?create=1")
        #expect(server.requests.last?.method == "POST")
        #expect(
            server.requests.last.map { String(decoding: $0.body, as: UTF8.self) }
                == "pg_dump ended with 1 (source.failed)")
        let own = PingChannel(success: secret("URL"), fail: secret("FAIL"))
        plan.channels = [site.channel(.ping(own))]
        site.secrets["FAIL"] = "\(server.url)/alarm"
        let before = server.requests.count
        await site.notifier.began(site.run(.failed), plan: plan)
        #expect(server.requests.count == before)
        await site.notifier.ended(site.run(.failed), plan: plan, history: [])
        #expect(server.requests.last?.target == "/alarm")
    }

    @Test("a ping that meets a server in trouble is tried once more, then reported, and never kept")
    func trouble() async throws {
        let count = Counter()
        let server = try HTTPDouble { _ in .response(count.next() == 1 ? 500 : 200) }
        let (site, plan) = try site(server)
        await site.notifier.ended(site.run(.ok), plan: plan, history: [])
        #expect(server.requests.count == 2 && site.notes.all.isEmpty)
        let down = try HTTPDouble { _ in .response(503) }
        let (other, otherPlan) = try self.site(down)
        await other.notifier.ended(other.run(.ok), plan: otherPlan, history: [])
        #expect(down.requests.count == 2)
        #expect(other.notes.all.count == 1 && !other.notes.all[0].contains("uuid"))
        #expect(try other.memory.outgoing(plan: "nightly").isEmpty)
    }

    private final class Counter: Sendable {
        private let value = Mutex(0)
        func next() -> Int {
            value.withLock {
                $0 += 1; return $0
            }
        }
    }
}
