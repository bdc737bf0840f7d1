// SPDX-License-Identifier: Apache-2.0
import Foundation

extension CalendarExpression {
    /// The first moment after `moment`, a whole second; nil when there is none before the year 2200.
    ///
    /// A time of day that the clocks skip does not come on that day, as with systemd; one that comes twice counts once, when
    /// it comes first.
    ///
    /// - Parameter localZone: the zone of expressions that name none; nil: this host's.
    public func next(after moment: Timestamp, localZone: String? = nil) -> Timestamp? {
        let clock = CalendarZone(zone ?? localZone)
        let from = moment.seconds + 1
        var day = CalendarZone.day(from + clock.offset(from))
        while true {
            let date = Timestamp(seconds: day * 86400).calendar
            guard date.year < 2200 else { return nil }
            if !years.contains(Int(date.year)) {
                day = Timestamp.days(year: date.year + 1, month: 1, day: 1)
                continue
            }
            let nextMonth =
                date.month == 12
                ? Timestamp.days(year: date.year + 1, month: 1, day: 1)
                : Timestamp.days(year: date.year, month: date.month + 1, day: 1)
            if !months.contains(Int(date.month)) {
                day = nextMonth
                continue
            }
            let length = Int(nextMonth - Timestamp.days(year: date.year, month: date.month, day: 1))
            if matches(Int(date.day), of: length), matchesWeekday(day),
                let found = first(on: day, from: from, clock)
            {
                return Timestamp(seconds: found)
            }
            day += 1
        }
    }

    private func matches(_ day: Int, of length: Int) -> Bool {
        countsFromMonthsEnd && !days.isAny ? days.containsFromEnd(day, length: length) : days.contains(day)
    }

    private func matchesWeekday(_ day: Int64) -> Bool {
        // 1970-01-01 was a Thursday.
        weekdays.isEmpty || weekdays.contains(Int(((day + 3) % 7 + 7) % 7))
    }

    /// The first moment on a local day that is not before `from`.
    private func first(on day: Int64, from: Int64, _ clock: CalendarZone) -> Int64? {
        let midnight = day * 86400
        let offset = clock.offset(midnight - clock.offset(midnight))
        if offset == clock.offset(midnight + 86400 - clock.offset(midnight + 86400)) {
            guard let time = times(from: max(0, from + offset - midnight)).first(where: { _ in true }) else {
                return nil
            }
            let found = midnight + time - offset
            // Clocks may be changed at midnight itself.
            if clock.offset(found) == offset { return found }
        }
        return times(from: 0).lazy.compactMap { clock.moment(midnight + $0) }.first { $0 >= from }
    }

    /// The times of any day from so many seconds after midnight, ascending.
    private func times(from second: Int64) -> some Sequence<Int64> {
        let (minutes, seconds) = (minutes.values(in: 0...59), seconds.values(in: 0...59))
        return hours.values(in: 0...23).lazy.filter { Int64($0) >= second / 3600 }.flatMap { hour in
            minutes.lazy.flatMap { minute in seconds.lazy.map { Int64(hour * 3600 + minute * 60 + $0) } }
        }.filter { $0 >= second }
    }
}

/// A place's clocks.
struct CalendarZone {
    private let zone: TimeZone

    /// - Parameter name: a name that `name(_:)` gave; nil: this host's zone.
    init(_ name: String?) {
        // A name that was read is known; should its file be gone since, UTC is nearer than nothing.
        zone = name.map { TimeZone(identifier: $0) ?? .gmt } ?? .current
    }

    /// The zone's name as its database has it; nil when nobody knows it.
    static func name(_ word: String) -> String? {
        if word.lowercased() == "utc" { return "UTC" }
        guard word.contains("/"), word.utf8.count <= 64,
            word.utf8.allSatisfy({
                ($0 >= 65 && $0 <= 90) || ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57)
                    || [43, 45, 47, 95].contains($0)
            }), TimeZone(identifier: word) != nil
        else { return nil }
        return word
    }

    /// Seconds that the place's clocks are ahead of UTC at a moment.
    func offset(_ moment: Int64) -> Int64 {
        Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(moment))))
    }

    /// The first moment at which the place's clocks show `local`, in seconds as if it were UTC; nil: they skip it.
    func moment(_ local: Int64) -> Int64? {
        [local - 86400, local + 86400].map { local - offset($0) }.filter { $0 + offset($0) == local }.min()
    }

    static func day(_ seconds: Int64) -> Int64 { Int64((Double(seconds) / 86400).rounded(.down)) }
}
