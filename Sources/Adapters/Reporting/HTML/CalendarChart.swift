// SPDX-License-Identifier: Apache-2.0
import Domain
import Operations

/// The last half year, a square for each day: what was made of it, and how far that is proven. Everything the template
/// places is a stored property: it sees no others.
struct CalendarChart {
    var width: Int
    var height: Int
    var cells: [Cell] = []
    var labels: [Label] = []
    var legend: [LegendEntry] = []

    struct Cell {
        var x, y: Int
        var kind: String
        var title: String
        /// A sign in the square, so that colour is not all there is to tell.
        var mark: String?
        var markX, markY: Int
    }

    struct Label {
        var x, y: Int
        var text: String
    }

    struct LegendEntry {
        var x, markX, textX: Int
        var kind: String
        var mark: String?
        var text: String
    }

    private static let weeks = 26
    private static let step = 16
    private static let left = 34
    private static let top = 16

    /// What became of a day.
    private enum Day: String, CaseIterable {
        case none, made, presence, checksum, contents, drill, partial, failed, damaged

        var mark: String? {
            switch self {
            case .partial: "/"
            case .failed: "\u{d7}"
            case .damaged: "!"
            default: nil
            }
        }

        var text: String {
            switch self {
            case .none: "nothing"
            case .made: "made"
            case .presence, .checksum, .contents, .drill: rawValue
            case .partial: "partial"
            case .failed: "no bundle"
            case .damaged: "problems"
            }
        }
    }

    init(_ report: PlanReport, at now: Timestamp) {
        width = Self.left + Self.weeks * Self.step
        height = Self.top + 7 * Self.step
        let today = now.seconds / 86_400
        // Day 0 of 1970 was a Thursday; weeks begin on Monday.
        let monday = today - (today + 3) % 7
        let bundles = Dictionary(grouping: report.bundles) { $0.id.started.seconds / 86_400 }
        let runs = Dictionary(grouping: report.runs.filter { $0.kind == .backup }) { $0.started.seconds / 86_400 }
        var month: Int64 = 0
        for week in 0..<Self.weeks {
            let first = monday - Int64(Self.weeks - 1 - week) * 7
            let x = Self.left + week * Self.step
            let date = Timestamp(seconds: first * 86_400).calendar
            if date.month != month {
                month = date.month
                // The first column may be the last of its month: no room for two names.
                if let last = labels.last, x - last.x < 2 * Self.step { labels.removeLast() }
                if week < Self.weeks - 1 { labels.append(Label(x: x, y: 11, text: Self.names[Int(month) - 1])) }
            }
            for weekday in 0..<7 where first + Int64(weekday) <= today {
                let day = first + Int64(weekday)
                let (kind, words) = Self.judge(bundles[day] ?? [], runs[day] ?? [])
                let y = Self.top + weekday * Self.step
                cells.append(
                    Cell(
                        x: x, y: y, kind: kind.rawValue,
                        title: "\("\(Timestamp(seconds: day * 86_400))".prefix(10)): \(words)", mark: kind.mark,
                        markX: x + 6, markY: y + 11))
            }
        }
        for (row, name) in [(0, "Mon"), (2, "Wed"), (4, "Fri"), (6, "Sun")] {
            labels.append(Label(x: 0, y: Self.top + row * Self.step + 11, text: name))
        }
        var x = 0
        for day in Day.allCases {
            legend.append(
                .init(x: x, markX: x + 6, textX: x + 17, kind: day.rawValue, mark: day.mark, text: day.text))
            x += 26 + day.text.count * 6
        }
        width = max(width, x)
    }

    private static let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// The best complete bundle of a day speaks for it, but never over one that is damaged.
    private static func judge(_ bundles: [PlanReport.Bundle], _ runs: [RunRecord]) -> (Day, String) {
        let words = bundles.map { bundle in
            let state = bundle.manifest.map { $0.state == .complete ? "complete" : "partial" } ?? "unreadable"
            let level =
                bundle.proof.problems.map { "problems at level \($0.level.rawValue)" }
                ?? bundle.proof.proven.map { "proven: \($0.level.rawValue)" } ?? "no later proof"
            return "\(bundle.id) \(state), \(level)"
        }
        let failed = runs.filter { $0.outcome == .failed || $0.outcome == .died }
            .map { "run \($0.outcome.rawValue): \($0.failure?.message ?? "")" }
        let text = (words + failed).joined(separator: "; ")
        if bundles.contains(where: { $0.manifest == nil || $0.proof.problems != nil }) { return (.damaged, text) }
        let complete = bundles.filter { $0.manifest?.state == .complete }
        if let best = complete.map({ $0.proof.proven?.level }).max(by: { rank($0) < rank($1) }) {
            return (best.flatMap { Day(rawValue: $0.rawValue) } ?? .made, text)
        }
        if !bundles.isEmpty { return (.partial, text) }
        return failed.isEmpty ? (.none, "no bundle") : (.failed, text)
    }

    private static func rank(_ level: ProofLevel?) -> Int {
        level.flatMap { ProofLevel.allCases.firstIndex(of: $0) }.map { $0 + 1 } ?? 0
    }
}
