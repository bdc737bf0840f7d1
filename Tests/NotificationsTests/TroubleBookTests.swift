// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Testing

@testable import Notifications

@Suite("Telling trouble once")
struct TroubleBookTests {
    private func failed(_ signature: String = "failed:x", _ event: NotificationEvent = .failed) -> Assessment {
        Assessment(findings: [
            Finding(
                .run, event, since: firstNight, signature: signature, title: "backup failed", what: ["x"], next: [],
                severity: .error)
        ])
    }

    private let good = Assessment(cleared: [.run, .overdue], isSuccess: true)

    @Test("hourly failures for two days are told three times, and the end once")
    func noFlood() {
        var book = TroubleBook()
        var told: [(Int, NotificationEvent)] = []
        for hour in 0...48 {
            let assessment = hour == 48 ? good : failed()
            for notice in book.take(assessment, channels: [channel()], now: hours(Double(hour), after: firstNight)) {
                told.append((hour, notice.event))
            }
        }
        // A day less a tenth: a night's run is not as punctual as that.
        #expect(told.map(\.0) == [0, 22, 44, 48])
        #expect(told.map(\.1) == [.failed, .failed, .failed, .recovered])
        #expect(book.open.isEmpty)
    }

    @Test("a reminder is called one, and counts")
    func reminder() {
        var book = TroubleBook()
        #expect(book.take(failed(), channels: [channel()], now: firstNight).map(\.action) == [.open])
        #expect(book.take(failed(), channels: [channel()], now: hours(1, after: firstNight)).isEmpty)
        let again = book.take(failed(), channels: [channel()], now: hours(24, after: firstNight))
        #expect(again.map(\.action) == [.again])
        #expect(again.first?.count == 3)
        #expect(again.first?.since == firstNight)
    }

    @Test("news within a trouble is told at once, but two that take turns are not told each time")
    func news() {
        var book = TroubleBook()
        var told: [String] = []
        for hour in 0..<12 {
            let signature = hour % 2 == 0 ? "failed:a" : "failed:b"
            for notice in book.take(
                failed(signature), channels: [channel()], now: hours(Double(hour), after: firstNight))
            {
                told.append(notice.finding?.signature ?? "")
            }
        }
        #expect(told == ["failed:a", "failed:b"])
    }

    @Test("recovered is told only after trouble, and only to those who were told of it")
    func recoveredOnlyAfterTrouble() {
        var book = TroubleBook()
        let channels = [
            channel("all"), channel("failures", on: [.failed, .recovered]), channel("silent", on: [.failed]),
            channel("partials", on: [.partial, .recovered]),
        ]
        #expect(book.take(good, channels: channels, now: firstNight).isEmpty)
        #expect(
            book.take(failed("partial:a", .partial), channels: channels, now: firstNight).map(\.channels)
                == [["all", "partials"]])
        let end = book.take(good, channels: channels, now: hours(24, after: firstNight))
        #expect(end.map(\.event) == [.recovered])
        #expect(end.map(\.channels) == [["all", "partials"]])
        #expect(end.first?.troubles == [.run])
        #expect(book.take(good, channels: channels, now: hours(48, after: firstNight)).isEmpty)
    }

    @Test("PagerDuty hears of the end of what it was told, whatever its events are")
    func resolved() {
        var book = TroubleBook()
        let pager = NotificationChannel(
            name: "pager",
            kind: .pagerDuty(
                PagerDutyChannel(routingKey: SecretReference("env:KEY", mark: mark), endpoint: "https://x.invalid")),
            events: [.failed], mark: mark)
        _ = book.take(failed(), channels: [pager], now: firstNight)
        let end = book.take(good, channels: [pager], now: hours(1, after: firstNight))
        #expect(end.map(\.channels) == [["pager"]] && end.first?.action == .close)
    }

    @Test("several troubles end in one message")
    func oneEnd() {
        var book = TroubleBook()
        let overdue = Finding(
            .overdue, .overdue, since: firstNight, signature: "overdue", title: "late", what: [], next: [],
            severity: .error)
        _ = book.take(
            Assessment(findings: failed().findings + [overdue]), channels: [channel()], now: firstNight)
        let end = book.take(good, channels: [channel()], now: hours(1, after: firstNight))
        #expect(end.map(\.troubles) == [[.run, .overdue]])
    }

    @Test("a success is told to those who ask for it, but not beside a recovery")
    func success() {
        var book = TroubleBook()
        let channels = [channel("all", on: NotificationEvent.allCases), channel("usual")]
        let first = book.take(good, channels: channels, now: firstNight)
        #expect(first.map(\.event) == [.success] && first.map(\.channels) == [["all"]])
        _ = book.take(failed(), channels: channels, now: hours(1, after: firstNight))
        let end = book.take(good, channels: channels, now: hours(2, after: firstNight))
        #expect(end.map(\.event) == [.recovered] && end.map(\.channels) == [["all", "usual"]])
    }

    @Test("a channel that was added later hears of trouble that lasts")
    func newChannel() {
        var book = TroubleBook()
        _ = book.take(failed(), channels: [channel("old")], now: firstNight)
        let next = book.take(failed(), channels: [channel("old"), channel("new")], now: hours(1, after: firstNight))
        #expect(next.map(\.channels) == [["new"]])
    }

    @Test("the book survives being written down, and ids go on in order")
    func coding() throws {
        var book = TroubleBook()
        _ = book.take(failed(), channels: [channel()], now: firstNight)
        let first = book.messageID(.failed, at: firstNight)
        var read = try JSONDecoder().decode(TroubleBook.self, from: try JSONEncoder().encode(book))
        #expect(read == book)
        #expect(read.messageID(.recovered, at: firstNight) > first)
        #expect(read.take(failed(), channels: [channel()], now: hours(1, after: firstNight)).isEmpty)
    }
}
