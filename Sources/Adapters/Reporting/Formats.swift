// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Foundation
import Notifications

/// Sizes for people, in IEC units.
public enum ByteFormat {
    /// `0 B`, `512 B`, `12.3 MiB`, `123 GiB`: three digits or a little more.
    public static func text(_ bytes: UInt64) -> String { Size.text(bytes) }

    /// `12.3 MiB/s`; `-` when there is nothing to divide by.
    public static func rate(_ bytes: UInt64, seconds: Double) -> String {
        guard seconds > 0 else { return "-" }
        let rate = min(Double(bytes) / seconds, 1e18)
        return text(UInt64(rate)) + "/s"
    }
}

/// Lengths of time for people.
public enum DurationFormat {
    /// `0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`.
    public static func text(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0 else { return "-" }
        let tenths = Int((seconds * 10).rounded())
        if tenths < 100 { return "\(tenths / 10).\(tenths % 10) s" }
        let whole = Int(min(seconds, 1e15).rounded())
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(two(whole % 60)) s" }
        if whole < 86_400 { return "\(whole / 3600) h \(two(whole / 60 % 60)) min" }
        return "\(whole / 86_400) d \(whole / 3600 % 24) h"
    }

    /// In a table's cell: `12s`, `3m`, `5h`, `40d`, rounded down.
    public static func short(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0 else { return "-" }
        let whole = Int(min(seconds, 1e15))
        if whole < 60 { return "\(whole)s" }
        if whole < 3600 { return "\(whole / 60)m" }
        if whole < 2 * 86_400 { return "\(whole / 3600)h" }
        return "\(whole / 86_400)d"
    }

    static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

/// Moments for people.
public enum TimeFormat {
    /// `2026-11-21 02:00:03 UTC`.
    public static func utc(_ moment: Timestamp) -> String { "\(plain(moment)) UTC" }

    /// `2026-11-21 03:00:03 +01:00`; the zone's name would be ambiguous.
    public static func local(_ moment: Timestamp, zone: TimeZone = .current) -> String {
        let offset = offset(moment, zone)
        let shifted = Timestamp(seconds: moment.seconds + Int64(offset))
        let (hours, minutes) = (abs(offset) / 3600, abs(offset) / 60 % 60)
        return "\(plain(shifted)) \(offset < 0 ? "-" : "+")\(DurationFormat.two(hours)):\(DurationFormat.two(minutes))"
    }

    /// Local time with UTC beside it, or UTC alone where that is local time:
    /// `2026-11-21 03:00:03 +01:00 (02:00:03 UTC)`.
    public static func both(_ moment: Timestamp, zone: TimeZone = .current) -> String {
        guard offset(moment, zone) != 0 else { return utc(moment) }
        let (here, there) = (local(moment, zone: zone), utc(moment))
        let isSameDay = here.prefix(10) == there.prefix(10)
        return "\(here) (\(isSameDay ? there.dropFirst(11) : there[...]))"
    }

    /// `3 h 05 min ago`; `just now` within a second, and for the future, which is a clock that was set.
    public static func age(of moment: Timestamp, at now: Timestamp) -> String {
        let seconds = now.seconds(since: moment)
        return seconds < 1 ? "just now" : "\(DurationFormat.text(seconds)) ago"
    }

    private static func offset(_ moment: Timestamp, _ zone: TimeZone) -> Int {
        zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(moment.seconds)))
    }

    private static func plain(_ moment: Timestamp) -> String {
        "\(moment)".replacing("T", with: " ").replacing("Z", with: "")
    }
}
