// SPDX-License-Identifier: Apache-2.0
import Domain

/// What is known of a run's progress: a value that events change and displays print.
struct ProgressBoard: Sendable {
    struct Source: Sendable {
        enum State: Sendable {
            case active
            case finished
            case failed
        }

        var name: String
        var estimate: UInt64?
        var raw: UInt64 = 0
        var stored: UInt64 = 0
        var state = State.active
        /// Seconds on the display's clock.
        var started: Double
        var ended: Double?

        func seconds(_ now: Double) -> Double { max(0, (ended ?? now) - started) }

        /// Between 0 and 1; nil when no estimate is known. An estimate that proves too small stays below the end.
        var share: Double? {
            guard let estimate, estimate > 0, raw > 0 else { return nil }
            return min(Double(raw) / Double(estimate), 0.99)
        }
    }

    private(set) var phase = ""
    private(set) var sources: [Source] = []

    mutating func apply(_ event: ProgressEvent, at now: Double) {
        switch event {
        case .phase(let name): phase = name
        case .sourceStarted(let name, let estimate):
            sources.removeAll { $0.name == name }
            sources.append(Source(name: name, estimate: estimate, started: now))
        case .bytes(let name, let raw, let stored):
            change(name, now) {
                $0.raw += raw
                $0.stored += stored
            }
        case .sourceFinished(let name):
            change(name, now) { ($0.state, $0.ended) = (.finished, now) }
        case .sourceFailed(let name, _):
            change(name, now) { ($0.state, $0.ended) = (.failed, now) }
        case .note: break
        }
    }

    private mutating func change(_ name: String, _ now: Double, _ body: (inout Source) -> Void) {
        if let index = sources.firstIndex(where: { $0.name == name }) {
            body(&sources[index])
        } else {
            var source = Source(name: name, estimate: nil, started: now)
            body(&source)
            sources.append(source)
        }
    }

    func source(_ name: String) -> Source? { sources.first { $0.name == name } }

    /// One line for each source at work, in `width` characters.
    func statusLines(at now: Double, width: Int) -> [String] {
        let active = sources.filter { $0.state == .active }
        let name = min(max(active.map(\.name.count).max() ?? 0, 8), 24)
        return active.prefix(8).map { line($0, now, nameWidth: name, width: width) }
    }

    /// What a source has come to, for a line of its own.
    static func summary(_ source: Source, at now: Double) -> String {
        let seconds = source.seconds(now)
        // Some steps of a restore count no bytes here.
        guard source.raw > 0 else { return "done in \(DurationFormat.text(seconds))" }
        let rate = ByteFormat.rate(source.raw, seconds: seconds)
        var text = "\(ByteFormat.text(source.raw)) in \(DurationFormat.text(seconds)) (\(rate))"
        if source.stored > 0 { text += ", \(ByteFormat.text(source.stored)) stored" }
        return text
    }

    private func line(_ source: Source, _ now: Double, nameWidth: Int, width: Int) -> String {
        let name = PrintableText.cut(PrintableText.of(source.name), to: nameWidth)
        let size = ByteFormat.text(source.raw)
        let rate = ByteFormat.rate(source.raw, seconds: source.seconds(now))
        let left = "\(pad(name, nameWidth))  \(padLeft(size, 9))  \(padLeft(rate, 11))"
        let room = width - 1 - left.count - 8
        guard let share = source.share, room >= 10 else { return left }
        let full = Int((share * Double(room)).rounded(.down))
        let bar = String(repeating: "█", count: full) + String(repeating: "░", count: room - full)
        return "\(left)  \(bar) \(padLeft("\(Int(share * 100))", 3)) %"
    }

    private func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private func padLeft(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
