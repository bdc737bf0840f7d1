// SPDX-License-Identifier: Apache-2.0
public import Domain
import Synchronization

/// Shows progress to people: bars where lines can be drawn over, otherwise a line every few seconds.
public final class TerminalProgress: ProgressListener {
    private struct State {
        var board = ProgressBoard()
        var lastDrawn = -Double.infinity
    }

    private let console: StatusConsole
    private let redactor: SecretRedactor
    private let seconds: @Sendable () -> Double
    private let interval: Double
    private let state = Mutex(State())

    /// - Parameters:
    ///   - interval: seconds between lines where there are no bars.
    ///   - seconds: a clock that only runs forwards; the system's when not given.
    public init(
        _ console: StatusConsole, _ redactor: SecretRedactor, interval: Double = 10,
        seconds: (@Sendable () -> Double)? = nil
    ) {
        self.console = console
        self.redactor = redactor
        self.seconds = seconds ?? MonotonicSeconds.sinceNow()
        self.interval = console.ability.isTerminal ? 0.1 : interval
    }

    public func report(_ event: ProgressEvent) {
        let now = seconds()
        state.withLock { state in
            state.board.apply(event, at: now)
            if let line = sentence(event, state.board, now) { console.line(line) }
            let isDue = now - state.lastDrawn >= interval
            if isDue || isChange(event) { draw(&state, now, isDue: isDue) }
        }
    }

    /// Removes the bars; for the end of the work.
    public func finish() { console.show([]) }

    private func isChange(_ event: ProgressEvent) -> Bool {
        if case .bytes = event { return false }
        return true
    }

    private func draw(_ state: inout State, _ now: Double, isDue: Bool) {
        if console.ability.isTerminal {
            state.lastDrawn = now
            console.show(state.board.statusLines(at: now, width: console.ability.width))
        } else if isDue {
            let isFirst = state.lastDrawn == -Double.infinity
            state.lastDrawn = now
            guard !isFirst else { return }
            for source in state.board.sources where source.state == .active {
                let share = source.share.map { ", \(Int($0 * 100)) %" } ?? ""
                console.line("\(PrintableText.of(source.name)): \(ProgressBoard.summary(source, at: now))\(share)")
            }
        }
    }

    private func sentence(_ event: ProgressEvent, _ board: ProgressBoard, _ now: Double) -> String? {
        switch event {
        case .sourceFinished(let name):
            guard let source = board.source(name) else { return nil }
            return "\(PrintableText.of(name)): \(ProgressBoard.summary(source, at: now))"
        case .sourceFailed(let name, let failure):
            return PrintableText.of(redactor.redact("\(name): failed: \(failure.summary)"))
        case .note(let text): return PrintableText.of(redactor.redact(text))
        case .phase, .sourceStarted, .bytes: return nil
        }
    }
}

/// Prints progress for programs: one JSON object a line (`--progress json`).
public final class JSONLinesProgress: ProgressListener {
    private struct Line: Encodable {
        var event: String
        var at: Timestamp
        var phase: String?
        var source: String?
        var estimatedBytes: UInt64?
        var rawBytes: UInt64?
        var storedBytes: UInt64?
        var message: String?
        var error: JSONError?
    }

    private struct State {
        var board = ProgressBoard()
        var lastPrinted: [String: Double] = [:]
    }

    private let clock: any WallClock
    private let redactor: SecretRedactor
    private let interval: Double
    private let seconds: @Sendable () -> Double
    private let output: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - interval: seconds between two `bytes` lines of one source; other events are printed at once.
    ///   - output: takes one line without its newline.
    public init(
        clock: any WallClock, _ redactor: SecretRedactor, interval: Double = 1,
        seconds: (@Sendable () -> Double)? = nil,
        output: @escaping @Sendable (String) -> Void
    ) {
        self.clock = clock
        self.redactor = redactor
        self.interval = interval
        self.seconds = seconds ?? MonotonicSeconds.sinceNow()
        self.output = output
    }

    public func report(_ event: ProgressEvent) {
        let now = seconds()
        state.withLock { state in
            state.board.apply(event, at: now)
            guard let line = line(event, &state, now) else { return }
            // A line that cannot be written as JSON is not worth the run; nothing here can fail to encode.
            if let text = try? JSONText.of(line, isPretty: false) { output(redactor.redact(text)) }
        }
    }

    private func line(_ event: ProgressEvent, _ state: inout State, _ now: Double) -> Line? {
        var line = Line(event: "", at: clock.now())
        switch event {
        case .phase(let name): (line.event, line.phase) = ("phase", name)
        case .sourceStarted(let name, let estimate):
            (line.event, line.source, line.estimatedBytes) = ("source-started", name, estimate)
        case .bytes(let name, _, _):
            if let last = state.lastPrinted[name], now - last < interval { return nil }
            state.lastPrinted[name] = now
            fill(&line, "bytes", name, state.board)
        case .sourceFinished(let name): fill(&line, "source-finished", name, state.board)
        case .sourceFailed(let name, let failure):
            fill(&line, "source-failed", name, state.board)
            line.error = JSONError(failure)
        case .note(let text): (line.event, line.message) = ("note", text)
        }
        return line
    }

    private func fill(_ line: inout Line, _ event: String, _ name: String, _ board: ProgressBoard) {
        let source = board.source(name)
        (line.event, line.source) = (event, name)
        (line.estimatedBytes, line.rawBytes, line.storedBytes) = (source?.estimate, source?.raw, source?.stored)
    }
}

/// Seconds on a clock that nobody sets.
enum MonotonicSeconds {
    static func sinceNow() -> @Sendable () -> Double {
        let start = ContinuousClock.now
        return {
            let parts = (ContinuousClock.now - start).components
            return Double(parts.seconds) + Double(parts.attoseconds) / 1e18
        }
    }
}
