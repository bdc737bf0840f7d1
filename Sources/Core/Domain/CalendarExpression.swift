// SPDX-License-Identifier: Apache-2.0

/// When something is to happen, as systemd.time(7) writes it under "Calendar Events": `Mon..Fri *-*-* 02:00`,
/// `*-*-01 04:30 Europe/Berlin`, `Sun *-*-1..7 *:0/15`, `weekly`.
///
/// What systemd accepts for old times' sake only (`Mon-Fri`, years of two digits), fractions of seconds and `@` with a
/// number of seconds are refused.
public struct CalendarExpression: Sendable, Hashable, CustomStringConvertible {
    /// As it was written, with single blanks.
    public let text: String
    /// 0 is Monday; empty: any day.
    let weekdays: Set<Int>
    let years: CalendarField
    let months: CalendarField
    let days: CalendarField
    /// Days are counted from the month's end: `*-*~1`.
    let countsFromMonthsEnd: Bool
    let hours: CalendarField
    let minutes: CalendarField
    let seconds: CalendarField
    /// Name in the time zone database, or `UTC`; nil: the host's own zone.
    public let zone: String?

    /// What is wrong with an expression.
    public struct Invalid: Error, Equatable {
        /// Follows the quoted expression: `has no hour 25`.
        public var problem: String
        /// A sentence.
        public var hint: String?
    }

    init(
        text: String, weekdays: Set<Int> = [], years: CalendarField = .any, months: CalendarField = .any,
        days: CalendarField = .any, countsFromMonthsEnd: Bool = false, hours: CalendarField = .only(0),
        minutes: CalendarField = .only(0), seconds: CalendarField = .only(0), zone: String? = nil
    ) {
        self.text = text
        // All seven are the same as none.
        self.weekdays = weekdays.count == 7 ? [] : weekdays
        self.years = years
        self.months = months
        self.days = days
        self.countsFromMonthsEnd = countsFromMonthsEnd
        self.hours = hours
        self.minutes = minutes
        self.seconds = seconds
        self.zone = zone
    }

    public var description: String { text }

    /// The words that stand for a whole expression.
    public static let shorthands = [
        "minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually",
    ]

    static func shorthand(_ word: String, text: String, zone: String?) -> CalendarExpression? {
        switch word {
        case "minutely": CalendarExpression(text: text, hours: .any, minutes: .any, zone: zone)
        case "hourly": CalendarExpression(text: text, hours: .any, zone: zone)
        case "daily": CalendarExpression(text: text, zone: zone)
        case "weekly": CalendarExpression(text: text, weekdays: [0], zone: zone)
        case "monthly": CalendarExpression(text: text, days: .only(1), zone: zone)
        case "quarterly": CalendarExpression(text: text, months: .only(1, 4, 7, 10), days: .only(1), zone: zone)
        case "semiannually": CalendarExpression(text: text, months: .only(1, 7), days: .only(1), zone: zone)
        case "yearly", "annually": CalendarExpression(text: text, months: .only(1), days: .only(1), zone: zone)
        default: nil
        }
    }
}

extension CalendarExpression {
    /// The five fields of a line for cron, which knows neither seconds, years, time zones nor a month's end, and takes a day
    /// of the month and a weekday for alternatives.
    ///
    /// - Parameter takesZone: whether the time zone is said elsewhere.
    /// - Throws: `Invalid` for what these fields cannot say.
    public func cronFields(takesZone: Bool = false) throws(Invalid) -> String {
        guard seconds.values(in: 0...59) == [0] else { throw Invalid(problem: "has seconds, which cron does not know") }
        guard years.isAny else { throw Invalid(problem: "has years, which cron does not know") }
        guard !countsFromMonthsEnd else {
            throw Invalid(problem: "counts from the end of the month, which cron cannot")
        }
        guard takesZone || zone == nil else {
            throw Invalid(problem: "names a time zone, and cron has only the host's")
        }
        guard days.isAny || weekdays.isEmpty else {
            throw Invalid(
                problem: "wants both a day of the month and a weekday, where cron would take either",
                hint: "Let cron run it on one of them, or use systemd.")
        }
        func list(_ field: CalendarField, _ range: ClosedRange<Int>) -> String {
            let values = field.values(in: range)
            return values.count == range.count ? "*" : values.map(String.init).joined(separator: ",")
        }
        let week = weekdays.isEmpty ? "*" : weekdays.sorted().map { String($0 + 1) }.joined(separator: ",")
        return [list(minutes, 0...59), list(hours, 0...23), list(days, 1...31), list(months, 1...12), week]
            .joined(separator: " ")
    }
}
