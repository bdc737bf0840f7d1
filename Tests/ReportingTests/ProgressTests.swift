// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Logging
import Reporting
import Synchronization
import Testing

/// What was printed, and a clock that the test moves.
private final class Screen: Sendable {
    private let state = Mutex<(text: String, now: Double)>(("", 0))

    var text: String { state.withLock { $0.text } }
    func print(_ text: String) { state.withLock { $0.text += text } }
    func take() -> String {
        state.withLock { state in
            defer { state.text = "" }
            return state.text
        }
    }
    var now: Double {
        get { state.withLock { $0.now } }
        set { state.withLock { $0.now = newValue } }
    }

    func console(isTerminal: Bool, hasColour: Bool = false) -> StatusConsole {
        StatusConsole(.init(isTerminal: isTerminal, hasColour: hasColour, width: 80)) { self.print($0) }
    }
}

private struct FixedClock: WallClock {
    func now() -> Timestamp { Timestamp(seconds: 0) }
}

@Suite("Progress and logs")
struct ProgressTests {
    private let screen = Screen()
    private let redactor = SecretRedactor()

    @Test("without a terminal, a line comes every few seconds and one at the end of each source")
    func lines() {
        let progress = TerminalProgress(screen.console(isTerminal: false), redactor, interval: 10) { screen.now }
        progress.report(.sourceStarted("app-db", estimatedBytes: 100 << 20))
        screen.now = 5
        progress.report(.bytes(source: "app-db", raw: 10 << 20, stored: 1 << 20))
        #expect(screen.take().isEmpty)
        screen.now = 10
        progress.report(.bytes(source: "app-db", raw: 40 << 20, stored: 4 << 20))
        #expect(screen.take() == "app-db: 50.0 MiB in 10 s (5.0 MiB/s), 5.0 MiB stored, 50 %\n")
        screen.now = 20
        progress.report(.bytes(source: "app-db", raw: 50 << 20, stored: 5 << 20))
        _ = screen.take()
        progress.report(.sourceFinished("app-db"))
        #expect(screen.take() == "app-db: 100 MiB in 20 s (5.0 MiB/s), 10.0 MiB stored\n")
    }

    @Test("on a terminal there is a bar for each source at work, drawn over, and gone at the end")
    func bars() {
        let progress = TerminalProgress(screen.console(isTerminal: true), redactor) { screen.now }
        progress.report(.sourceStarted("app-db", estimatedBytes: 100 << 20))
        screen.now = 2
        _ = screen.take()
        progress.report(.bytes(source: "app-db", raw: 50 << 20, stored: 0))
        let drawn = screen.take()
        #expect(drawn.hasPrefix("\u{1B}[1A\u{1B}[J"))
        #expect(
            drawn.contains(
                "app-db     50.0 MiB   25.0 MiB/s  ███████████████████░░░░░░░░░░░░░░░░░░░░  50 %\n"), "\(drawn)")
        progress.finish()
        #expect(screen.take() == "\u{1B}[1A\u{1B}[J")
    }

    @Test("a failed source is told without its secrets")
    func failed() {
        redactor.register("hunter2")
        let progress = TerminalProgress(screen.console(isTerminal: false), redactor) { screen.now }
        progress.report(.sourceStarted("cache", estimatedBytes: nil))
        progress.report(.sourceFailed("cache", Failure(.sourceDenied, "AUTH hunter2 refused")))
        #expect(screen.take() == "cache: failed: AUTH <redacted> refused\n")
    }

    @Test("JSON lines hold whole events, not more than one bytes line an interval")
    func json() throws {
        let progress = JSONLinesProgress(clock: FixedClock(), redactor, seconds: { screen.now }) {
            screen.print($0 + "\n")
        }
        progress.report(.sourceStarted("app-db", estimatedBytes: 10))
        progress.report(.bytes(source: "app-db", raw: 4, stored: 1))
        progress.report(.bytes(source: "app-db", raw: 4, stored: 1))
        progress.report(.sourceFailed("app-db", Failure(.sourceFailed, "no", hint: "h")))
        #expect(
            screen.take() == """
                {"at":"1970-01-01T00:00:00Z","estimatedBytes":10,"event":"source-started","source":"app-db"}
                {"at":"1970-01-01T00:00:00Z","estimatedBytes":10,"event":"bytes","rawBytes":4,"source":"app-db","storedBytes":1}
                {"at":"1970-01-01T00:00:00Z","error":{"code":"source.failed","hint":"h","message":"no"},"estimatedBytes":10,"event":"source-failed","rawBytes":8,"source":"app-db","storedBytes":2}

                """)
    }

    @Test("log lines have their level, no secret and no control characters")
    func log() {
        redactor.register("hunter2")
        let console = screen.console(isTerminal: false)
        var logger = Logger(label: "t") { _ in ConsoleLogHandler(console, redactor, level: .info) }
        logger[metadataKey: "plan"] = "nightly"
        logger.notice("done")
        logger.warning("with hunter2\u{1B}[2J", metadata: ["source": "cache"])
        logger.debug("not shown")
        #expect(
            screen.take() == "done plan=nightly\nwarning: with <redacted>\\x1b[2J plan=nightly source=cache\n")
        let journal = Logger(label: "t") { _ in ConsoleLogHandler(console, redactor, style: .journal) }
        journal.error("bad")
        #expect(screen.take() == "<3>bad\n")
        let coloured = screen.console(isTerminal: true, hasColour: true)
        Logger(label: "t") { _ in ConsoleLogHandler(coloured, redactor) }.error("bad")
        #expect(screen.take() == "\u{1B}[31merror:\u{1B}[0m bad\n")
    }

    @Test("a log line scrolls above the bars")
    func logAboveBars() {
        let console = screen.console(isTerminal: true)
        console.show(["bar"])
        _ = screen.take()
        console.line("note")
        #expect(screen.take() == "\u{1B}[1A\u{1B}[Jnote\nbar\n")
    }

    @Test("colour needs a terminal and no NO_COLOR")
    func ability() {
        #expect(!StatusConsole.Ability.of(-1, environment: [:]).hasColour)
        #expect(StatusConsole.Ability.of(-1, environment: [:]).width == 80)
    }

    @Test("of two secrets, one within the other, nothing is left over")
    func redaction() {
        redactor.register("secret")
        redactor.register("my-secret-word")
        redactor.register("abc")
        #expect(redactor.redact("my-secret-word secret abc") == "<redacted> <redacted> abc")
    }
}
