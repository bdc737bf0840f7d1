// SPDX-License-Identifier: Apache-2.0

/// A name that is also a folder and an object key part: ASCII letters, digits, `.`, `_`, `-`, not starting with a dot
/// or a dash, at most 100 characters.
public enum SafeName {
    /// Whether `text` may be used as it is.
    public static func isValid(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 100 else { return false }
        guard first != UInt8(ascii: "."), first != UInt8(ascii: "-") else { return false }
        return text.utf8.allSatisfy(isAllowed)
    }

    /// A valid name made of any text (a database name, say): bytes that are not allowed become `_xx`, so that different
    /// texts give different names. Texts too long end in a shortened digest-free tail and stay unique by `index`.
    public static func escaping(_ text: String) -> String {
        var result = ""
        for (position, byte) in text.utf8.enumerated() {
            let plain =
                isAllowed(byte) && byte != UInt8(ascii: "_")
                && !(position == 0 && (byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")))
            if plain {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16)
                result += byte == UInt8(ascii: "_") ? "__" : "_" + (digits.count == 1 ? "0" + digits : digits)
            }
        }
        return result
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// The name of one bundle, such as `20261121T020003Z-nightly-k3f9qz`: UTC start, plan, random suffix. Sorts by time.
public struct BundleID: Hashable, Sendable, Comparable, CustomStringConvertible, Codable {
    /// The whole id.
    public let text: String
    /// The plan's name, taken from the id.
    public let plan: String
    /// Seconds since 1970 of the start, taken from the id.
    public let started: Timestamp

    /// Makes an id for a run that starts now.
    public init(plan: String, started: Timestamp, suffix: String) {
        self.plan = plan
        self.started = Timestamp(seconds: started.seconds)
        text = "\(self.started.compact)-\(plan)-\(suffix)"
    }

    /// Reads an id; nil when it is not one.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 3, let started = Timestamp(compact: String(parts[0])), let suffix = parts.last,
            suffix.count >= 4, suffix.utf8.allSatisfy({ ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) })
        else { return nil }
        plan = parts[1..<(parts.count - 1)].joined(separator: "-")
        guard SafeName.isValid(plan) else { return nil }
        self.started = started
        self.text = text
    }

    /// A random suffix of six characters out of `a-z0-9`.
    public static func randomSuffix() -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        return String((0..<6).map { _ in alphabet[Int.random(in: alphabet.indices)] })
    }

    public static func < (left: BundleID, right: BundleID) -> Bool { left.text < right.text }

    public var description: String { text }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = BundleID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a bundle id")
        }
        self = id
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    /// The folder of the bundle in its repository: `bundles/<plan>/2026/11/21/<id>`.
    public var folder: String {
        let date = started.calendar
        return "bundles/\(plan)/\(date.year)/\(Timestamp.two(date.month))/\(Timestamp.two(date.day))/\(text)"
    }
}
