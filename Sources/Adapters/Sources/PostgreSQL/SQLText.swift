// SPDX-License-Identifier: Apache-2.0

/// Quoting for SQL sent through psql's standard input, where backslashes and colons within quotes mean nothing to psql.
enum SQLText {
    /// An identifier, always quoted, so that no keyword list is needed.
    static func identifier(_ name: String) -> String {
        "\"" + doubling("\"", in: name) + "\""
    }

    /// A string literal that means the same whatever `standard_conforming_strings` says.
    static func literal(_ text: String) -> String {
        let quoted = "'" + doubling("'", in: text) + "'"
        return text.unicodeScalars.contains("\\") ? "E" + doubling("\\", in: quoted) : quoted
    }

    /// A configuration parameter's name; its parts may stand around a dot.
    static func parameter(_ name: String) -> String {
        name.split(separator: ".", omittingEmptySubsequences: false).map { identifier(String($0)) }
            .joined(separator: ".")
    }

    /// The value of `ALTER … SET parameter TO`. Parameters that hold lists of names are stored quoted as names and have to
    /// be given as a list again, everything else is one literal.
    static func value(of parameter: String, _ text: String) -> String {
        guard listParameters.contains(parameter.lowercased()) else { return literal(text) }
        let names = splitNames(text)
        return names.isEmpty ? "''" : names.map(literal).joined(separator: ", ")
    }

    /// The parameters flagged GUC_LIST_QUOTE in PostgreSQL's guc_tables.c.
    private static let listParameters: Set<String> = [
        "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
        "temp_tablespaces", "unix_socket_directories",
    ]

    private static func splitNames(_ text: String) -> [String] {
        var names: [String] = []
        var current = ""
        var isQuoted = false
        var hasName = false
        var hasJustClosed = false
        for scalar in text.unicodeScalars {
            // A doubled quote within quotes closes and reopens: the name has one.
            if scalar == "\"", hasJustClosed { current.unicodeScalars.append(scalar) }
            hasJustClosed = scalar == "\"" && isQuoted
            switch scalar {
            case "\"":
                isQuoted.toggle()
                hasName = true
            case "," where !isQuoted:
                if hasName { names.append(current) }
                (current, hasName) = ("", false)
            case " " where !isQuoted, "\t" where !isQuoted: continue
            default:
                current.unicodeScalars.append(scalar)
                hasName = true
            }
        }
        if hasName { names.append(current) }
        return names
    }

    private static func doubling(_ mark: Unicode.Scalar, in text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if scalar == mark { result.append(mark) }
            result.append(scalar)
        }
        return String(result)
    }
}
