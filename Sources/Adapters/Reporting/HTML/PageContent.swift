// SPDX-License-Identifier: Apache-2.0
import Mustache

/// How texts get into the page: every character that means something in HTML or in a quoted attribute becomes an entity,
/// and what drives a terminal or turns the direction of writing becomes visible.
///
/// The template library's own escaping goes by what people see as one character, and so overlooks a `"` or a `<` that a
/// combining mark follows.
struct PageContent: MustacheContentType {
    /// As the template's first line says it.
    static let name = "SALVORPAGE"

    func escapeText(_ text: String) -> String {
        var result = ""
        for scalar in PrintableText.of(text).unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            // No XML may have them.
            case "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
