// SPDX-License-Identifier: Apache-2.0

/// Words of SQL as both products read them with an empty `sql_mode`, which every session here has.
enum SQLText {
    /// A name in backticks.
    static func name(_ text: String) -> String {
        "`" + text.split(separator: "`", omittingEmptySubsequences: false).joined(separator: "``") + "`"
    }

    /// A name within a database.
    static func name(_ database: String, _ text: String) -> String { "\(name(database)).\(name(text))" }

    /// A string literal.
    static func literal(_ text: String) -> String {
        var result = "'"
        for scalar in text.unicodeScalars {
            switch scalar {
            case "'": result += "''"
            case "\\": result += "\\\\"
            case "\0": result += "\\0"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "'"
    }

    /// The values of the rows that a client prints in batch mode: tabs between values, and tab, newline, backslash and NUL
    /// within them written as `\t`, `\n`, `\\` and `\0`.
    static func rows(_ bytes: [UInt8]) -> [[String]] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast().map { line in
            line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false).map(value)
        }
    }

    private static func value(_ bytes: ArraySlice<UInt8>) -> String {
        guard bytes.contains(UInt8(ascii: "\\")) else { return String(decoding: bytes, as: UTF8.self) }
        var result: [UInt8] = []
        var isEscaped = false
        for byte in bytes {
            if isEscaped {
                switch byte {
                case UInt8(ascii: "t"): result.append(9)
                case UInt8(ascii: "n"): result.append(10)
                case UInt8(ascii: "0"): result.append(0)
                default: result.append(byte)
                }
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
