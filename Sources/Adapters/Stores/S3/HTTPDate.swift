// SPDX-License-Identifier: Apache-2.0
import Domain

/// The dates of HTTP's fields, such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7, the only form in use).
enum HTTPDate {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// The moment; nil for anything else.
    static func parse(_ text: String) -> Timestamp? {
        let words = text.split(separator: " ")
        guard words.count == 6, words[5] == "GMT", let month = months.firstIndex(of: String(words[2])) else {
            return nil
        }
        let day = words[1].count == 1 ? "0\(words[1])" : String(words[1])
        return Timestamp("\(words[3])-\(month < 9 ? "0" : "")\(month + 1)-\(day)T\(words[4])Z")
    }
}
