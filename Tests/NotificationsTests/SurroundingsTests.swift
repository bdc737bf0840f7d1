// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import Notifications

@Suite("Trouble that no run tells of")
struct SurroundingsTests {
    private func manifest(_ number: Int, stored: UInt64, full: Bool) -> Manifest {
        let record = night(number)
        let stream = Manifest.Stream(
            name: "s", kind: .raw, storage: full ? .full : .delta, base: nil, segments: 1, rawBytes: stored,
            storedBytes: stored)
        return Manifest(
            id: record.id, plan: "nightly", host: "db-1", tool: "salvor", repository: "r", started: record.started,
            finished: record.finished, state: .complete,
            sources: [
                Manifest.Source(
                    name: "db", adapter: "files", engine: "", state: .ok, started: record.started,
                    finished: record.finished, streams: [stream])
            ], tags: [], comment: "", previous: nil, objects: [:], recipients: [], signer: "", proof: .decode)
    }

    @Test("the recovery point is missed when the last good bundle is older, or none came in its time")
    func overdue() throws {
        let nightly = plan(recoveryPoint: 26 * 3600)
        let last = night(0).id
        let found = try #require(
            Overdue.finding(plan: nightly, lastGood: last, waitingSince: nil, now: hours(27, after: firstNight)))
        #expect(found.since == hours(26, after: firstNight))
        #expect(found.what == ["the last good bundle is 27 h old; the objective is 26 h"])
        #expect(
            Overdue.finding(plan: nightly, lastGood: last, waitingSince: nil, now: hours(25, after: firstNight)) == nil)
        #expect(
            Overdue.finding(plan: plan(), lastGood: last, waitingSince: nil, now: hours(999, after: firstNight)) == nil)
        #expect(
            Overdue.finding(plan: nightly, lastGood: nil, waitingSince: firstNight, now: hours(30, after: firstNight))
                != nil)
        #expect(
            Overdue.finding(plan: nightly, lastGood: nil, waitingSince: nil, now: hours(30, after: firstNight)) == nil)
    }

    @Test("a repository fills when another full does not fit, or two weeks at this pace do not")
    func storage() throws {
        let nights =
            [manifest(0, stored: 100 << 30, full: true)]
            + (1..<20).map { manifest($0, stored: 1 << 30, full: false) }
        func found(_ room: UInt64?) -> Finding? {
            StorageRoom.finding(plan: plan(), room: room, manifests: nights, now: hours(480, after: firstNight))
        }
        #expect(found(nil) == nil)
        #expect(found(200 << 30) == nil)
        #expect(found(90 << 30)?.severity == .error)
        let slow = (0..<20).map { manifest($0, stored: 10 << 30, full: true) }
        let pace = try #require(
            StorageRoom.finding(plan: plan(), room: 100 << 30, manifests: slow, now: hours(480, after: firstNight)))
        #expect(
            pace.severity == .warning && pace.what.last?.contains("9 d") == true
                || pace.what.last?.contains("10 d") == true)
    }

    @Test("keys that end are told once, not anew each day, and anew when they have ended")
    func keys() throws {
        func found(_ checks: [Check]) -> Finding? { KeyExpiry.finding(plan: plan(), checks: checks, now: firstNight) }
        #expect(found([Check("recipient", .ok, "x"), Check("separation", .warning, "y")]) == nil)
        let soon = try #require(found([Check("recipient", .warning, "ABCD expires in 20 days", remedy: "Extend it.")]))
        let sooner = try #require(
            found([Check("recipient", .warning, "ABCD expires in 19 days", remedy: "Extend it.")]))
        let over = try #require(found([Check("recipient", .failed, "ABCD has expired", remedy: "Extend it.")]))
        #expect(soon.signature == sooner.signature && soon.signature != over.signature)
        #expect(soon.severity == .warning && over.severity == .critical)
        #expect(soon.next.first == NextStep(nil, "Extend it."))
    }
}

@Suite("The words of a message")
struct MessageTests {
    private func message(_ notice: Notice, _ record: RunRecord?) -> NotificationMessage {
        MessageComposer(
            plan: "nightly", host: "db-1", now: hours(26, after: firstNight), lastGood: night(0).id, record: record
        ).message(notice, id: "00000001-x")
    }

    @Test("a failure reads as a whole: what, since when, last good, what to type")
    func text() throws {
        let record = night(1, .failed)
        var book = TroubleBook()
        let assessment = RunAssessment.of(record, plan: plan(), history: [night(0)])
        let notice = try #require(book.take(assessment, channels: [channel()], now: record.finished).first)
        let text = message(notice, record).fitted(to: channel()).text()
        #expect(
            text == """
                [salvor] nightly on db-1: backup failed

                  pg_dump ended with 1 (source.failed)

                Since:      2026-11-02T02:00:00Z  (2 h)
                Last good:  20261101T020000Z-nightly-abcdef  (26 h old)
                Run:        20261102T020000Z-nightly-abcdef  (backup, failed, 60 s)

                Next:
                  Look at the server's log.
                  salvor doctor nightly   # find what would fail again
                  salvor backup nightly   # run it again once that is mended

                """)
    }

    @Test("the run's record is only for channels that ask for it")
    func log() throws {
        let record = night(1, .failed, sizes: ["db": 5], failing: ["db"])
        var book = TroubleBook()
        let assessment = RunAssessment.of(record, plan: plan(), history: [])
        let notice = try #require(book.take(assessment, channels: [channel()], now: record.finished).first)
        var curious = channel()
        curious.includesLog = true
        let whole = message(notice, record)
        #expect(whole.fitted(to: channel()).log == nil)
        #expect(whole.fitted(to: curious).text().contains("The run in full:\n  backup 20261102T020000Z-nightly-abcdef"))
    }

    @Test("a test says so, and wakes nobody")
    func test() {
        let message = MessageComposer(plan: "nightly", host: "db-1", now: firstNight, lastGood: nil, record: nil)
            .test(id: "1")
        #expect(message.isTest && message.action == .note && message.severity == .info)
        #expect(message.text().hasPrefix("THIS IS A TEST."))
    }

    @Test("attempts are further and further apart, and come to an end")
    func retrying() {
        let composer = MessageComposer(plan: "nightly", host: "db-1", now: firstNight, lastGood: nil, record: nil)
        var outgoing = Outgoing(composer.test(id: "1"), channel: "ops")
        var now = firstNight
        var pauses: [Int64] = []
        while !outgoing.isLost, pauses.count < 100 {
            outgoing = outgoing.failed(Failure(.notificationFailed, "no"), .later(after: nil), now: now)
            pauses.append(outgoing.due.seconds - now.seconds)
            now = outgoing.due
        }
        #expect(pauses.prefix(4) == [60, 120, 240, 480])
        #expect(pauses.max() == 21_600)
        #expect(now.seconds - firstNight.seconds > Int64(Retrying.lifetime))
        let asked = Outgoing(composer.test(id: "1"), channel: "ops").failed(
            Failure(.notificationFailed, "busy"), .later(after: 900), now: firstNight)
        #expect(asked.due.seconds - firstNight.seconds == 900)
        #expect(
            Outgoing(composer.test(id: "1"), channel: "ops").failed(
                Failure(.notificationFailed, "no"), .never, now: firstNight
            ).isLost)
    }
}
