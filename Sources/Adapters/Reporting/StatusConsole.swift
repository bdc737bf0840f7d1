// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Standard error, shared by the log and the progress display: lines scroll above, the status stays at the bottom.
public final class StatusConsole: Sendable {
    private struct State {
        var status: [String] = []
        /// Lines of status on the screen now.
        var shown = 0
    }

    /// What the console can show.
    public struct Ability: Sendable {
        /// Whether lines can be drawn over.
        public var isTerminal: Bool
        public var hasColour: Bool
        public var width: Int

        public init(isTerminal: Bool, hasColour: Bool, width: Int) {
            self.isTerminal = isTerminal
            self.hasColour = hasColour
            self.width = width
        }

        /// What `descriptor` can show, given the environment (`NO_COLOR`, `TERM`; https://no-color.org).
        public static func of(_ descriptor: Int32, environment: [String: String]) -> Ability {
            let isTerminal = isatty(descriptor) == 1 && environment["TERM"] != "dumb"
            var size = winsize()
            let isKnown = isTerminal && ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col >= 20
            return Ability(
                isTerminal: isTerminal, hasColour: isTerminal && (environment["NO_COLOR"] ?? "").isEmpty,
                width: isKnown ? Int(size.ws_col) : 80)
        }
    }

    public let ability: Ability
    private let state = Mutex(State())
    private let output: @Sendable (String) -> Void

    /// - Parameter output: where text goes; standard error when not given.
    public init(_ ability: Ability, output: (@Sendable (String) -> Void)? = nil) {
        self.ability = ability
        self.output = output ?? Self.writeToStandardError
    }

    /// Prints a line above the status.
    public func line(_ text: String) {
        state.withLock { state in
            output(Self.erasing(state.shown) + text + "\n" + state.status.map { $0 + "\n" }.joined())
            state.shown = state.status.count
        }
    }

    /// Replaces the status; an empty one removes it. Ignored where lines cannot be drawn over.
    public func show(_ status: [String]) {
        guard ability.isTerminal else { return }
        let lines = status.map { PrintableText.cut($0, to: ability.width - 1) }
        state.withLock { state in
            guard lines != state.status || state.shown != lines.count else { return }
            output(Self.erasing(state.shown) + lines.map { $0 + "\n" }.joined())
            state.status = lines
            state.shown = lines.count
        }
    }

    private static func erasing(_ lines: Int) -> String {
        // ECMA-48: cursor up, then erase to the end of the screen.
        lines == 0 ? "" : "\u{1B}[\(lines)A\u{1B}[J"
    }

    @Sendable private static func writeToStandardError(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return  // nobody reads standard error any more; the work goes on
            }
            bytes = bytes.dropFirst(count)
        }
    }
}
