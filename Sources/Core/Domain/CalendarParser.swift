// SPDX-License-Identifier: Apache-2.0

extension CalendarExpression {
    /// Reads an expression.
    ///
    /// - Throws: `Invalid`.
    public init(_ text: String) throws(Invalid) {
        var words = text.split(separator: " ").map(String.init)
        let text = words.joined(separator: " ")
        guard let first = words.first else {
            throw Invalid(problem: "is empty", hint: "Write something like '*-*-* 02:00'.")
        }
        try Self.refuseCron(words)
        var zone: String?
        if words.count > 1, let last = words.last, last.first?.isLetter == true {
            guard let name = CalendarZone.name(last) else {
                throw Invalid(
                    problem: "has the time zone '\(last)', which nobody knows",
                    hint: "Time zones are UTC or names like Europe/Berlin.")
            }
            zone = name
            words.removeLast()
        }
        if words.count == 1, let known = Self.shorthand(first.lowercased(), text: text, zone: zone) {
            self = known
            return
        }
        var weekdays: Set<Int> = []
        if first.first?.isLetter == true {
            weekdays = try Weekdays.parse(first, isAlone: words.count == 1)
            words.removeFirst()
        }
        var date = (years: CalendarField.any, months: CalendarField.any, days: CalendarField.any, fromEnd: false)
        if let word = words.first, !word.contains(":") {
            date = try Self.date(word)
            words.removeFirst()
        }
        var time = (hours: CalendarField.only(0), minutes: CalendarField.only(0), seconds: CalendarField.only(0))
        if let word = words.first {
            time = try Self.time(word)
            words.removeFirst()
        }
        if let rest = words.first {
            throw Invalid(
                problem: "goes on with '\(rest)' where it should end",
                hint: "The order is: weekdays, date, time, time zone, such as 'Mon..Fri *-*-* 02:00 UTC'.")
        }
        self.init(
            text: text, weekdays: weekdays, years: date.years, months: date.months, days: date.days,
            countsFromMonthsEnd: date.fromEnd, hours: time.hours, minutes: time.minutes, seconds: time.seconds,
            zone: zone)
        guard next(after: Timestamp(seconds: 0), localZone: "UTC") != nil else {
            throw Invalid(problem: "names a day that never comes", hint: "Months end on day 28 to 31.")
        }
    }

    /// Five bare fields are what cron calls a schedule.
    private static func refuseCron(_ words: [String]) throws(Invalid) {
        guard words.count == 5, !words.contains(where: { $0.contains(":") }) else { return }
        throw Invalid(
            problem: "looks like a line for cron",
            hint: "Write it as systemd.time(7) does: '0 2 * * *' is '*-*-* 02:00', '0 2 * * 1-5' is 'Mon..Fri 02:00'.")
    }

    // swift-format-ignore: large tuples are the parts of one expression, taken apart at once
    private static func date(
        _ word: String
    ) throws(Invalid) -> (years: CalendarField, months: CalendarField, days: CalendarField, fromEnd: Bool) {
        let (front, fromEnd, last): (Substring, Bool, Substring)
        if let tilde = word.lastIndex(of: "~") {
            (front, fromEnd, last) = (word[..<tilde], true, word[word.index(after: tilde)...])
        } else if let dash = word.lastIndex(of: "-") {
            (front, fromEnd, last) = (word[..<dash], false, word[word.index(after: dash)...])
        } else {
            throw Invalid(
                problem: "has '\(word)', which is neither a date nor a time",
                hint: "Dates are like '*-*-01' or '*-12-24', times like '02:00'.")
        }
        let parts = front.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count) else {
            throw Invalid(problem: "has the date '\(word)'", hint: "Dates are year-month-day or month-day.")
        }
        if fromEnd, last == "*" { throw Invalid(problem: "has '~*', which is every day", hint: "Write '-*'.") }
        let years = parts.count == 2 ? try field(parts[0], "year", 1970...2199) : .any
        let months = try field(parts[parts.count - 1], "month", 1...12)
        let days = try field(last, "day", fromEnd ? 1...28 : 1...31, countsDown: fromEnd)
        return (years, months, days, fromEnd)
    }

    private static func time(
        _ word: String
    ) throws(Invalid) -> (hours: CalendarField, minutes: CalendarField, seconds: CalendarField) {
        let parts = word.split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count) else {
            throw Invalid(
                problem: "has '\(word)', which is no time", hint: "Times are hour:minute or hour:minute:second.")
        }
        return (
            try field(parts[0], "hour", 0...23), try field(parts[1], "minute", 0...59),
            parts.count == 3 ? try field(parts[2], "second", 0...59) : .only(0)
        )
    }

    /// `*`, or numbers, ranges and steps, separated by commas.
    private static func field(
        _ text: Substring, _ name: String, _ range: ClosedRange<Int>, countsDown: Bool = false
    ) throws(Invalid) -> CalendarField {
        if text == "*" { return .any }
        if text.hasPrefix("*/") {
            throw Invalid(
                problem: "has '\(text)' for its \(name)",
                hint: "A step needs a start: '\(range.lowerBound)\(text.dropFirst())'.")
        }
        let words = text.split(separator: ",", omittingEmptySubsequences: false)
        // As many components as systemd takes.
        guard words.count <= 240 else { throw Invalid(problem: "has too many values for its \(name)") }
        var parts: [CalendarField.Part] = []
        for word in words { parts.append(try part(word, name, range, countsDown: countsDown)) }
        if countsDown { try refuseFarEnds(parts) }
        return CalendarField(parts: parts)
    }

    /// As systemd does (252 at least): each further part of a list from the month's end reaches three days less far.
    private static func refuseFarEnds(_ parts: [CalendarField.Part]) throws(Invalid) {
        let sorted = parts.sorted { ($0.start, $0.stop ?? 0, $0.step ?? 0) < ($1.start, $1.stop ?? 0, $1.step ?? 0) }
        for (index, part) in sorted.enumerated() where max(part.start, part.stop ?? 0) > 28 - 3 * index {
            throw Invalid(
                problem: "has a list of days from the month's end that systemd does not take",
                hint: "Write them as two expressions.")
        }
    }

    private static func part(
        _ word: Substring, _ name: String, _ range: ClosedRange<Int>, countsDown: Bool
    ) throws(Invalid) -> CalendarField.Part {
        let halves = word.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let (low, high) = bounds(halves.first ?? "")
        let start = try number(low, name, range)
        let stop = high == nil ? nil : try number(high ?? "", name, range)
        if let stop, stop < start {
            throw Invalid(
                problem: "has the range '\(word)', which ends before it begins",
                hint: "Write it as two: '\(start)..\(range.upperBound),\(range.lowerBound)..\(stop)'.")
        }
        guard halves.count == 2 else {
            if name == "second", stop == start {
                throw Invalid(problem: "has the range '\(word)', which is no range", hint: "Write '\(start)'.")
            }
            return CalendarField.Part(start: start, stop: stop == start ? nil : stop, step: nil)
        }
        guard let step = decimal(halves[1]), step > 0 else {
            throw Invalid(problem: "has '\(word)' for its \(name)", hint: "After '/' comes how many at a time, from 1.")
        }
        if let stop { return CalendarField.Part(start: start, stop: stop, step: step) }
        // Without a second time within the range the step says nothing, which is hardly what was meant.
        guard countsDown ? start - step >= range.lowerBound : start + step <= range.upperBound else {
            throw Invalid(
                problem:
                    "has '\(word)' for its \(name), where the step leads out of \(range.lowerBound) to \(range.upperBound)",
                hint: "Leave the step out, or make it smaller.")
        }
        return CalendarField.Part(start: start, stop: nil, step: step)
    }

    private static func bounds(_ text: Substring) -> (Substring, Substring?) {
        guard let dots = text.firstRange(of: "..") else { return (text, nil) }
        return (text[..<dots.lowerBound], text[dots.upperBound...])
    }

    private static func number(
        _ text: Substring, _ name: String, _ range: ClosedRange<Int>
    ) throws(Invalid) -> Int {
        guard let value = decimal(text) else {
            throw Invalid(
                problem: text.isEmpty ? "lacks a \(name)" : "has '\(text)' for its \(name)",
                hint: "Components are '*', numbers, ranges like 1..5, steps like 0/15, and lists of these with ','.")
        }
        guard range.contains(value) else {
            throw Invalid(
                problem: "has no \(name) \(value)",
                hint: "It may be from \(range.lowerBound) to \(range.upperBound).")
        }
        return value
    }

    private static func decimal(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 6, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        return Int(text)
    }
}

/// Days of the week as systemd names them.
private enum Weekdays {
    private static let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

    /// `Mon`, `Mon..Fri`, `Sat,Sun`, `Monday,Wed..Fri`; 0 is Monday.
    static func parse(
        _ text: String, isAlone: Bool
    ) throws(CalendarExpression.Invalid) -> Set<Int> {
        var days: Set<Int> = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let dots = word.firstRange(of: "..") else {
                days.insert(try day(word, isAlone: isAlone))
                continue
            }
            let first = try day(word[..<dots.lowerBound], isAlone: false)
            let last = try day(word[dots.upperBound...], isAlone: false)
            guard first <= last else {
                throw CalendarExpression.Invalid(
                    problem: "has the range '\(word)', and weeks begin with Monday",
                    hint: "Write it as two: '\(word[..<dots.lowerBound])..Sun,Mon..\(word[dots.upperBound...])'.")
            }
            days.formUnion(first...last)
        }
        return days
    }

    private static func day(_ word: Substring, isAlone: Bool) throws(CalendarExpression.Invalid) -> Int {
        let lowered = word.lowercased()
        if let index = names.firstIndex(where: { $0 == lowered || $0.prefix(3) == lowered }) { return index }
        if let dash = word.firstIndex(of: "-") {
            throw CalendarExpression.Invalid(
                problem: "has '\(word)' for its weekdays",
                hint: "Ranges have two dots: '\(word[..<dash])..\(word[word.index(after: dash)...])'.")
        }
        let known = isAlone ? CalendarExpression.shorthands + names : names
        throw CalendarExpression.Invalid(
            problem: word.isEmpty ? "lacks a weekday" : "has '\(word)', which is no weekday",
            hint: NearestName.of(lowered, among: known).map { "Did you mean '\($0)'?" }
                ?? "Weekdays are Mon to Sun; whole expressions are \(CalendarExpression.shorthands.joined(separator: ", "))."
        )
    }
}
