// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// JSON whose bytes depend only on the value: keys sorted, slashes bare, indented for people, one closing newline.
enum CanonicalJSON {
    private struct Versioned: Decodable { var format: Int }

    static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
    }

    /// - Throws: `Failure(.formatTooNew)` for a newer `format`, `Failure(.integrity)` for anything else unreadable.
    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], name: String) throws -> Value {
        let decoder = JSONDecoder()
        do {
            let format = try decoder.decode(Versioned.self, from: Data(bytes)).format
            guard format <= currentFormat else {
                throw Failure(
                    .formatTooNew, "'\(name)' has format \(format); this salvor reads up to \(currentFormat)",
                    hint: "Use a newer salvor.")
            }
            return try decoder.decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw Failure(.integrity, "'\(name)' is damaged: \(error.brief)")
        }
    }
}

extension DecodingError {
    /// What is wrong and where, on one line.
    var brief: String {
        switch self {
        case .dataCorrupted(let context), .typeMismatch(_, let context), .valueNotFound(_, let context),
            .keyNotFound(_, let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? "not valid JSON" : "at \(path)"
        @unknown default: return "unreadable"
        }
    }
}
