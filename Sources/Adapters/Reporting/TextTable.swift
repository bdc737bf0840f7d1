// SPDX-License-Identifier: Apache-2.0

/// A table for people: aligned columns, at most `width` characters a line, long cells cut with `…`.
public struct TextTable: Sendable {
    /// One column.
    public struct Column: Sendable {
        /// The side on which cells are flush.
        public enum Alignment: Sendable {
            case left
            case right
        }

        public var title: String
        public var alignment: Alignment
        /// The fewest characters the column may be cut to; nil: it is never cut.
        public var narrowest: Int?

        public init(_ title: String, _ alignment: Alignment = .left, narrowest: Int? = nil) {
            self.title = title
            self.alignment = alignment
            self.narrowest = narrowest
        }
    }

    public var columns: [Column]
    public private(set) var rows: [[String]] = []

    public init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Adds a row; missing cells are empty.
    public mutating func add(_ cells: [String]) {
        let padded = cells + Array(repeating: "", count: max(0, columns.count - cells.count))
        rows.append(padded.prefix(columns.count).map(PrintableText.of))
    }

    /// The table's lines, each ending in a newline, the titles first. Lines longer than `width` occur only when the
    /// columns that are never cut need more.
    public func text(width: Int = 80) -> String {
        let widths = fitted(width)
        return ([columns.map(\.title)] + rows).map { line($0, widths) + "\n" }.joined()
    }

    private static let gap = "  "

    private func fitted(_ width: Int) -> [Int] {
        var widths = columns.indices.map { index in
            ([columns[index].title] + rows.map { $0[index] }).map(\.count).max() ?? 0
        }
        var excess = widths.reduce(0, +) + Self.gap.count * max(0, columns.count - 1) - width
        while excess > 0 {
            let able = columns.indices.filter { index in
                columns[index].narrowest.map { widths[index] > max($0, 1) } ?? false
            }
            guard let widest = able.max(by: { widths[$0] < widths[$1] }) else { break }
            widths[widest] -= 1
            excess -= 1
        }
        return widths
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        let padded = columns.indices.map { index -> String in
            let cell = PrintableText.cut(cells[index], to: widths[index])
            let space = String(repeating: " ", count: max(0, widths[index] - cell.count))
            return columns[index].alignment == .left ? cell + space : space + cell
        }
        let line = padded.joined(separator: Self.gap)
        guard let last = line.lastIndex(where: { $0 != " " }) else { return "" }
        return String(line[...last])
    }
}

/// Text that is safe to print: names from archives and servers may hold control characters that drive a terminal.
public enum PrintableText {
    /// `text` with control characters as `\xNN`.
    public static func of(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return text.unicodeScalars.map { scalar in
            guard isControl(scalar) else { return String(scalar) }
            let digits = String(scalar.value, radix: 16)
            return "\\x" + (digits.count == 1 ? "0" + digits : digits)
        }.joined()
    }

    /// `text`, at most `width` characters, its end replaced by `…` when it is longer.
    public static func cut(_ text: String, to width: Int) -> String {
        guard text.count > width else { return text }
        guard width > 0 else { return "" }
        return text.prefix(width - 1) + "…"
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        // Format characters include the ones that reverse the direction of writing.
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
