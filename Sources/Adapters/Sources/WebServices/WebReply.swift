// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Transfer

/// What a system answered.
public struct WebReply: Sendable {
    public let status: Int
    public let body: [UInt8]
    /// Seconds that the server asks to wait before the next request.
    let retryAfter: Int?

    init(_ response: HTTPResponse) {
        status = response.status
        body = response.body
        retryAfter = response.header("retry-after").flatMap { Int($0) }
    }

    /// The body as JSON; nil when it is something else.
    public var json: JSONValue? {
        // What is no JSON is told as such by whoever expects some.
        try? JSONDecoder().decode(JSONValue.self, from: Data(body))
    }

    /// The server's own words about what went wrong, on one line; empty when it has none.
    public var complaint: String {
        let found = json
        let text =
            found?["message"]?.string ?? found?["errorMessage"]?.string ?? found?["status"]?["error"]?.string
            ?? found?["error"]?.string ?? String(decoding: body.prefix(300), as: UTF8.self)
        let words = text.split { $0.isWhitespace || $0.isNewline }.joined(separator: " ")
        return words.count > 300 ? words.prefix(300) + "…" : words
    }

    /// The server's machine-readable name of what went wrong, such as `index_not_found`.
    public var code: String? { json?["code"]?.string }
}

extension JSONValue {
    /// The same value always as the same bytes: members sorted, nothing between them.
    public var canonical: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Every JSON value can be encoded: numbers that are none (NaN) cannot come out of a decoder.
        // Should that ever be wrong, the text is of this value all the same, and no JSON that somebody could take for one.
        guard let data = try? encoder.encode(self) else { return "\(self)" }
        return String(decoding: data, as: UTF8.self)
    }

    /// The value as pretty text, for streams that people may read.
    public var text: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        // As above.
        guard let data = try? encoder.encode(self) else { return Array("\(self)\n".utf8) }
        return Array(data) + [10]
    }

    /// The JSON in `bytes`.
    ///
    /// - Throws: `Failure(.integrity)` that names `what`.
    public static func reading(_ bytes: [UInt8], _ what: String) throws -> JSONValue {
        do { return try JSONDecoder().decode(JSONValue.self, from: Data(bytes)) } catch {
            throw Failure(.integrity, "\(what) is no JSON")
        }
    }

    /// The members of an object; empty for anything else.
    public var members: [String: JSONValue] {
        guard case .object(let members) = self else { return [:] }
        return members
    }
}
