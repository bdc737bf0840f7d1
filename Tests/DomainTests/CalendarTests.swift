// SPDX-License-Identifier: Apache-2.0
import Domain
import TestSupport
import Testing

/// Our reading of calendar expressions against systemd's own.
@Suite("Calendar expressions")
struct CalendarTests {
    private static let noon = Timestamp(seconds: 1_795_262_400)  // 2026-11-21T12:00:00Z, a Saturday

    private func ours(_ expression: String, after moment: Timestamp, count: Int) throws -> [Timestamp] {
        let calendar = try CalendarExpression(expression)
        var times: [Timestamp] = []
        while times.count < count, let next = calendar.next(after: times.last ?? moment, localZone: "UTC") {
            times.append(next)
        }
        return times
    }

    @Test("what systemd documents is read, and comes when systemd says")
    func documented() async throws {
        let expressions = [
            "Sat,Thu,Mon..Wed,Sat..Sun", "Mon,Sun 2030-*-* 2,1:23", "Wed *-1", "Wed..Wed,Wed *-1",
            "Wed..Sat,Tue 2030-10-15 1:2:3", "*-*-7 0:0:0", "10-15", "monday *-12-* 17:00", "Mon,Fri *-*-3,1,2 *:30:45",
            "12,14,13,12:20,10,30", "12..14:10,20,30", "mon,fri *-1/2-1,3 *:30:45", "03-05 08:05:40", "08:05:40",
            "05:40", "Sat,Sun 12-05 08:05:40", "Sat,Sun 08:05:40", "2033-03-05 05:40", "2031-03-05 05:40 UTC",
            "2033-03-05", "03-05", "hourly", "daily", "daily UTC", "monthly", "weekly", "weekly Pacific/Auckland",
            "yearly", "annually", "minutely", "quarterly", "semiannually", "*:2/3", "*:0/15", "*-*~1", "*-*~07/1",
            "Mon *-05~07/1", "*-02~03", "*-*~01..05", "*-*~3..9/2", "*-02-29", "*-*-31", "Fri *-*-13", "5..7/9:00",
            "0..23/7:0..30/10:5,7", "2027..2029/2-01-01", "Sun *-*-1..7 04:30 Europe/Berlin", "02:30 Europe/Berlin",
            "daily utc", "Mon..Fri   *-*-*   22:15",
        ]
        let theirs = try await SystemdCalendar.next(expressions, after: Self.noon, count: 4)
        for (expression, times) in zip(expressions, theirs) {
            let times = try #require(times, "systemd refuses '\(expression)'")
            #expect(try ours(expression, after: Self.noon, count: 4) == times, "\(expression)")
        }
    }

    @Test("expressions made at random come when systemd says, or are refused by both", arguments: 0..<4)
    func random(_ seed: Int) async throws {
        var numbers = Numbers(state: UInt64(seed) &* 0x9E37_79B9 &+ 17)
        let expressions = (0..<40).map { _ in RandomCalendar.make(&numbers) }
        let moment = Timestamp(seconds: 1_700_000_000 + Int64(numbers.below(200_000_000)))
        let theirs = try await SystemdCalendar.next(expressions, after: moment, count: 3)
        var accepted = 0
        for (expression, times) in zip(expressions, theirs) {
            guard let times, !times.isEmpty else {
                // Refused by us, too, or in the past for ever.
                let next = (try? CalendarExpression(expression))?.next(after: moment, localZone: "UTC")
                #expect(next == nil, "systemd refuses '\(expression)', or never comes to it")
                continue
            }
            accepted += 1
            #expect(try ours(expression, after: moment, count: 3) == times, "\(expression) after \(moment)")
        }
        #expect(accepted > 20)
    }

    @Test("the nights on which clocks are changed come when systemd says")
    func changedClocks() async throws {
        let expressions = [
            "02:30 Europe/Berlin", "03:00 Europe/Berlin", "*:00 Europe/Berlin", "01:59:59 Europe/Berlin",
            "*:0/30 America/New_York", "Sun 02:30 America/New_York", "00:00 America/Santiago", "daily Africa/Cairo",
            "Sun *-*-* 02:00 Australia/Lord_Howe",
        ]
        for text in [
            "2026-03-28T12:00:00Z", "2026-10-24T20:00:00Z", "2026-03-07T12:00:00Z", "2026-10-31T12:00:00Z",
            "2026-09-05T12:00:00Z", "2026-04-04T00:00:00Z",
        ] {
            let moment = try #require(Timestamp(text))
            let theirs = try await SystemdCalendar.next(expressions, after: moment, count: 5)
            for (expression, times) in zip(expressions, theirs) {
                #expect(try ours(expression, after: moment, count: 5) == times, "\(expression) after \(text)")
            }
        }
    }

    @Test(
        "what is no expression is refused with the reason and the next step",
        arguments: [
            ("", "empty", "*-*-*"), ("02", "neither a date nor a time", "times like"),
            ("nightly", "no weekday", "Weekdays"),
            ("dayly", "no weekday", "'daily'"), ("Mond 02:00", "no weekday", "'monday'"),
            ("24:00", "no hour 24", "0 to 23"),
            ("02:60", "no minute 60", "0 to 59"), ("02:00:60", "no second 60", "0 to 59"),
            ("*-13-01", "no month 13", "1 to 12"),
            ("*-02-30", "never comes", "28 to 31"), ("*-*-32", "no day 32", "1 to 31"),
            ("*-*~29", "no day 29", "1 to 28"),
            ("1969-01-01", "no year 1969", "1970"), ("Sun..Mon", "weeks begin with Monday", "Sun..Sun,Mon..Mon"),
            ("Mon-Fri 02:00", "for its weekdays", "'Mon..Fri'"), ("*/5:00", "'*/5'", "'0/5'"),
            ("0/0:00", "'0/0'", "from 1"), ("20/10:00", "leads out", "smaller"),
            ("22..2:00", "ends before", "22..23,0..2"),
            ("1,,2:00", "lacks a hour", "lists"), ("2x:00", "'2x'", "lists"), ("*-*~1..5,20..26", "month's end", "two"),
            ("-1:00", "'-1'", "lists"),
            ("02:00 Europe/Nowhere", "time zone", "Europe/Berlin"), ("02:00 CEST", "time zone", "UTC"),
            ("0 2 * * *", "cron", "02:00"), ("*/10 * * * *", "cron", "systemd"),
            ("02:00 *-*-*", "goes on with", "order"),
            ("02:00:00:00", "no time", "hour:minute"), ("1-2-3-4", "the date", "year-month-day"),
            ("02:00.5", "'00.5'", "lists"),
            ("@5", "neither", "Dates"), ("Mon,", "lacks a weekday", "Mon to Sun"), ("*-*~*", "every day", "'-*'"),
            ("1234567:00", "'1234567'", "lists"), ("٢:00", "for its hour", "lists"),
            ("02:00:05..05", "no range", "'5'"),
        ] as [(String, String, String)])
    func refused(_ text: String, _ problem: String, _ hint: String) throws {
        let invalid = try #require(throws: CalendarExpression.Invalid.self) { try CalendarExpression(text) }
        #expect(invalid.problem.contains(problem), "\(invalid)")
        #expect(invalid.hint?.contains(hint) == true, "\(invalid)")
    }

    @Test(
        "cron's five fields are the same times, or a refusal",
        arguments: [
            ("*-*-* 02:00", "0 2 * * *"), ("Mon..Fri *:0/15", "0,15,30,45 * * * 1,2,3,4,5"), ("weekly", "0 0 * * 1"),
            ("quarterly", "0 0 1 1,4,7,10 *"), ("Sun 04:30", "30 4 * * 7"), ("minutely", "* * * * *"),
            ("*-*-1..3 5:00", "0 5 1,2,3 * *"), ("Mon..Sun 03:00", "0 3 * * *"),
            ("02:00:30", nil), ("2027-*-* 02:00", nil), ("*-*~1", nil), ("02:00 UTC", nil), ("Mon *-*-1..7", nil),
        ] as [(String, String?)])
    func cron(_ text: String, _ fields: String?) throws {
        let expression = try CalendarExpression(text)
        guard let fields else {
            #expect(throws: CalendarExpression.Invalid.self) { try expression.cronFields() }
            return
        }
        #expect(try expression.cronFields() == fields)
    }

    @Test("a schedule's next run is the nearest of its times, and its longest gap the weekend")
    func schedule() throws {
        let schedule = Schedule(
            backup: [try CalendarExpression("Mon..Fri 22:00"), try CalendarExpression("Sun 04:00")],
            validation: .init(calendar: [try CalendarExpression("06:00")]))
        #expect(schedule.next(after: Self.noon, localZone: "UTC")?.description == "2026-11-22T04:00:00Z")
        #expect(schedule.next(.validate, after: Self.noon, localZone: "UTC")?.description == "2026-11-22T06:00:00Z")
        #expect(schedule.next(.prune, after: Self.noon) == nil)
        #expect(schedule.longestInterval(after: Self.noon, localZone: "UTC") == 42 * 3600)
    }
}

/// Numbers that are the same in every run.
struct Numbers {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(bound))
    }
}

/// Expressions that are mostly right.
private enum RandomCalendar {
    static func make(_ numbers: inout Numbers) -> String {
        var words: [String] = []
        if numbers.below(3) == 0 { words.append(weekdays(&numbers)) }
        if numbers.below(2) == 0 {
            let year = numbers.below(3) == 0 ? field(2020...2040, &numbers) : "*"
            let fromEnd = numbers.below(5) == 0
            // A range whose end is cut to its step may end beyond for systemd, and is refused by us.
            let day = field(fromEnd ? 1...28 : 1...31, &numbers)
            words.append("\(year)-\(field(1...12, &numbers))\(fromEnd && day != "*" ? "~" : "-")\(day)")
        }
        if words.isEmpty || numbers.below(3) > 0 {
            let seconds = numbers.below(3) == 0 ? ":\(field(0...59, &numbers))" : ""
            words.append("\(field(0...23, &numbers)):\(field(0...59, &numbers))\(seconds)")
        }
        if numbers.below(4) == 0 { words.append(["UTC", "Asia/Tokyo", "America/Phoenix"][numbers.below(3)]) }
        return words.joined(separator: " ")
    }

    private static func weekdays(_ numbers: inout Numbers) -> String {
        let names = ["Mon", "Tue", "Wednesday", "thu", "FRI", "Sat", "Sun"]
        let (first, second) = (numbers.below(7), numbers.below(7))
        switch numbers.below(3) {
        case 0: return names[first]
        case 1: return "\(names[min(first, second)])..\(names[max(first, second)])"
        default: return "\(names[first]),\(names[second])"
        }
    }

    private static func field(_ range: ClosedRange<Int>, _ numbers: inout Numbers) -> String {
        if numbers.below(3) == 0 { return "*" }
        func value(_ numbers: inout Numbers) -> Int { range.lowerBound + numbers.below(range.count) }
        let parts = (0...numbers.below(3)).map { _ -> String in
            let (first, second) = (value(&numbers), value(&numbers))
            switch numbers.below(4) {
            case 0: return "\(min(first, second))..\(max(first, second))"
            case 1: return "\(first)/\(1 + numbers.below(9))"
            case 2: return "\(min(first, second))..\(max(first, second))/\(1 + numbers.below(9))"
            default: return "\(first)"
            }
        }
        return parts.joined(separator: ",")
    }
}
