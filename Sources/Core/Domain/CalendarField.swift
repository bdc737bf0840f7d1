// SPDX-License-Identifier: Apache-2.0

/// One component of a calendar expression, such as its hours: any value, or those of a list of numbers and ranges.
struct CalendarField: Sendable, Hashable {
    /// A number (`5`), a range (`5..10`), or either with a step (`0/15`, `0..30/10`).
    struct Part: Sendable, Hashable {
        var start: Int
        var stop: Int?
        var step: Int?
    }

    /// Empty: any value.
    var parts: [Part]

    static let any = CalendarField(parts: [])

    static func only(_ values: Int...) -> CalendarField {
        CalendarField(parts: values.map { Part(start: $0, stop: nil, step: nil) })
    }

    var isAny: Bool { parts.isEmpty }

    /// The values within `range`, ascending.
    func values(in range: ClosedRange<Int>) -> [Int] {
        guard !isAny else { return Array(range) }
        return Set(parts.flatMap { $0.values(upTo: range.upperBound) }).filter(range.contains).sorted()
    }

    func contains(_ value: Int) -> Bool { isAny || parts.contains { $0.contains(value) } }

    /// Whether day `day` of a month of `length` days is meant, counted from the month's end: `~1` is the last day.
    func containsFromEnd(_ day: Int, length: Int) -> Bool {
        parts.contains { part in
            let near = length + 1 - part.start
            guard let stop = part.stop else {
                guard let step = part.step else { return day == near }
                return day >= near && (day - near).isMultiple(of: step)
            }
            let far = near - (stop - part.start) / (part.step ?? 1) * (part.step ?? 1)
            return (far...near).contains(day) && (day - far).isMultiple(of: part.step ?? 1)
        }
    }
}

extension CalendarField.Part {
    func values(upTo highest: Int) -> [Int] {
        guard stop != nil || step != nil else { return [start] }
        return Array(Swift.stride(from: start, through: stop ?? highest, by: step ?? 1))
    }

    func contains(_ value: Int) -> Bool {
        guard stop != nil || step != nil else { return value == start }
        return value >= start && value <= (stop ?? .max) && (value - start).isMultiple(of: step ?? 1)
    }
}
