// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Notifications

/// A message as a mail (RFC 5322, 2045, 2047): headers and a plain text in UTF-8, lines ended by CR and LF.
struct MailMessage {
    let bytes: [UInt8]

    init(_ message: NotificationMessage, from: String, to: [String]) {
        let domain = from.split(separator: "@").last.map(String.init) ?? "localhost"
        let text = message.text()
        let isPlain =
            text.utf8.allSatisfy { $0 < 128 } && text.split(separator: "\n").allSatisfy { $0.utf8.count < 900 }
        var headers = [
            "Date: \(Self.date(message.at))",
            "From: Salvor <\(from)>",
            "To: \(to.joined(separator: ",\r\n "))",
            Self.subject(message.title),
            "Message-ID: <\(message.id)@\(domain)>",
        ]
        // A root that was never sent: all mails about one trouble refer to it, and mail programs show them together.
        headers += message.troubles.prefix(1).map { trouble in
            "References: <\(message.plan).\(trouble.rawValue).\(message.since.compact)@\(domain)>"
        }
        headers += [
            "Auto-Submitted: auto-generated",
            "X-Salvor-Plan: \(message.plan)",
            "X-Salvor-Event: \(message.isTest ? "test" : message.event.rawValue)",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: \(isPlain ? "7bit" : "quoted-printable")",
        ]
        if message.severity == .critical || message.severity == .error { headers.append("Importance: high") }
        let body =
            isPlain
            ? text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
            : Self.quotedPrintable(text)
        bytes = Array((headers.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `Sat, 21 Nov 2026 02:00:03 +0000`.
    static func date(_ moment: Timestamp) -> String {
        let parts = moment.calendar
        // The first of January 1970 was a Thursday.
        let day = Int(((moment.seconds / 86_400) % 7 + 7) % 7)
        let time = String("\(moment)".dropFirst(11).prefix(8))
        return "\(weekdays[day]), \(parts.day) \(months[Int(parts.month) - 1]) \(parts.year) \(time) +0000"
    }

    /// The subject's whole line, folded; texts beyond ASCII become encoded words.
    static func subject(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { (32..<127).contains($0) } && !text.contains("=?")
        let words = isPlain ? text.split(separator: " ").map(String.init) : encodedWords(text)
        var line = "Subject:"
        var length = line.count
        for word in words {
            if length + word.utf8.count + 1 > 78, length > 9 {
                line += "\r\n"
                length = 0
            }
            line += " \(word)"
            length += word.utf8.count + 1
        }
        return line
    }

    /// Words of at most 75 characters, none of which splits a character.
    private static func encodedWords(_ text: String) -> [String] {
        var words: [String] = []
        var bytes: [UInt8] = []
        func close() {
            if !bytes.isEmpty { words.append("=?utf-8?B?\(Data(bytes).base64EncodedString())?=") }
            bytes = []
        }
        for scalar in text.unicodeScalars {
            let more = Array(String(scalar).utf8)
            // 39 bytes are 52 characters in base64, and 12 more are the marks around: the first fits behind "Subject: ".
            if bytes.count + more.count > 39 { close() }
            bytes += more
        }
        close()
        return words
    }

    /// RFC 2045, lines of at most 76 characters.
    static func quotedPrintable(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        var result = ""
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if index > 0 { result += "\r\n" }
            var length = 0
            let bytes = Array(line.utf8)
            for (place, byte) in bytes.enumerated() {
                let isBlank = byte == 32 || byte == 9
                let isPlain =
                    ((33...126).contains(byte) && byte != UInt8(ascii: "=")) || (isBlank && place < bytes.count - 1)
                let piece =
                    isPlain ? String(Unicode.Scalar(byte)) : "=\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
                if length + piece.count > 75 {
                    result += "=\r\n"
                    length = 0
                }
                result += piece
                length += piece.count
            }
        }
        return result
    }
}
