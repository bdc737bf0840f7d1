// SPDX-License-Identifier: Apache-2.0
public import Logging

/// Writes log messages to the console, one line each, without secrets and control characters.
public struct ConsoleLogHandler: LogHandler {
    /// How lines begin.
    public enum Style: Sendable {
        /// `warning: …`, and nothing before notices.
        case plain
        /// `<4>…`, as systemd's journal reads standard error (sd-daemon(3)).
        case journal
    }

    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level
    private let console: StatusConsole
    private let redactor: SecretRedactor
    private let style: Style

    public init(
        _ console: StatusConsole, _ redactor: SecretRedactor, level: Logger.Level = .notice, style: Style = .plain
    ) {
        self.console = console
        self.redactor = redactor
        self.style = style
        logLevel = level
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let values = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let details = values.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        // Redacted before control characters are escaped: a secret with one would not be recognised after.
        let text = PrintableText.of(redactor.redact("\(event.message)\(details)"))
        console.line(prefix(event.level) + text)
    }

    private func prefix(_ level: Logger.Level) -> String {
        if style == .journal { return "<\(Self.priority(level))>" }
        switch level {
        case .notice: return ""
        case .warning: return coloured("warning:", "33") + " "
        case .error, .critical: return coloured("\(level):", "31") + " "
        case .trace, .debug, .info: return coloured("\(level):", "2") + " "
        }
    }

    private func coloured(_ text: String, _ colour: String) -> String {
        console.ability.hasColour ? "\u{1B}[\(colour)m\(text)\u{1B}[0m" : text
    }

    /// syslog(3)'s numbers.
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
