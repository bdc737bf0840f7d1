// SPDX-License-Identifier: Apache-2.0
import Domain

extension RetentionPeriod {
    /// A number that is the same for all moments of one period and grows with time; nil for `last`, whose periods are the
    /// bundles themselves.
    func number(of moment: Timestamp) -> Int64? {
        switch self {
        case .last: return nil
        case .hourly: return Self.floor(moment.seconds, 3600)
        case .daily: return Self.floor(moment.seconds, 86400)
        case .weekly: return Self.week(moment)
        case .monthly:
            let date = moment.calendar
            return date.year * 12 + date.month - 1
        case .quarterly:
            let date = moment.calendar
            return date.year * 4 + (date.month - 1) / 3
        case .yearly: return moment.calendar.year
        }
    }

    /// The period's name for people: `2026-11-21`, `2026-W47`, `2026-Q4`.
    func name(of moment: Timestamp) -> String {
        let date = moment.calendar
        switch self {
        case .last: return moment.description
        case .hourly: return "\(date.year)-\(Self.two(date.month))-\(Self.two(date.day)) \(Self.two(date.hour)):00"
        case .daily: return "\(date.year)-\(Self.two(date.month))-\(Self.two(date.day))"
        case .weekly:
            // The week belongs to the year of its Thursday.
            let thursday = Self.week(moment) * 7
            let year = Timestamp(seconds: thursday * 86400).calendar.year
            let newYear = Timestamp(compact: "\(year)0101T000000Z")?.seconds ?? 0
            return "\(year)-W\(Self.two((thursday - Self.floor(newYear, 86400)) / 7 + 1))"
        case .monthly: return "\(date.year)-\(Self.two(date.month))"
        case .quarterly: return "\(date.year)-Q\((date.month - 1) / 3 + 1)"
        case .yearly: return "\(date.year)"
        }
    }

    /// Weeks since that of 1970-01-01, a Thursday.
    private static func week(_ moment: Timestamp) -> Int64 { floor(floor(moment.seconds, 86400) + 3, 7) }

    private static func floor(_ number: Int64, _ divisor: Int64) -> Int64 {
        number >= 0 ? number / divisor : (number - divisor + 1) / divisor
    }

    private static func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
