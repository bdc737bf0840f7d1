// SPDX-License-Identifier: Apache-2.0
import Domain

/// Cuts the elements of an array out of a JSON text without reading them, so that numbers and texts stay as the server
/// wrote them.
public enum JSONElements {
    /// The elements of the array that the top-level object has at `key`, each on one line; nil when there is none.
    public static func split(_ text: [UInt8], key: String) throws -> [[UInt8]]? {
        var position = 0
        var depth = 0
        let wanted = Array("\"\(key)\"".utf8)
        while position < text.count {
            switch text[position] {
            case UInt8(ascii: "\""):
                let start = position
                position = try endOfString(text, position)
                guard depth == 1, text[start..<position].elementsEqual(wanted) else { continue }
                var next = skipBlanks(text, position)
                guard next < text.count, text[next] == UInt8(ascii: ":") else { continue }
                next = skipBlanks(text, next + 1)
                guard next < text.count, text[next] == UInt8(ascii: "[") else { return nil }
                return try elements(text, next + 1)
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
            position += 1
        }
        return nil
    }

    private static func elements(_ text: [UInt8], _ start: Int) throws -> [[UInt8]] {
        var result: [[UInt8]] = []
        var position = skipBlanks(text, start)
        var begin = position
        var depth = 0
        while position < text.count {
            let byte = text[position]
            switch byte {
            case UInt8(ascii: "\""):
                position = try endOfString(text, position)
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: "]") where depth > 0: depth -= 1
            case UInt8(ascii: ","), UInt8(ascii: "]"):
                guard depth == 0 else { break }
                let element = text[begin..<position].map { $0 == 10 || $0 == 13 ? 32 : $0 }
                if element.contains(where: { $0 != 32 && $0 != 9 }) { result.append(element) }
                if byte == UInt8(ascii: "]") { return result }
                begin = skipBlanks(text, position + 1)
                position = begin
                continue
            default: break
            }
            position += 1
        }
        throw Failure(.sourceFailed, "a JSON text ends in the middle")
    }

    /// The place after the string that begins at `start`.
    private static func endOfString(_ text: [UInt8], _ start: Int) throws -> Int {
        var position = start + 1
        while position < text.count {
            if text[position] == UInt8(ascii: "\\") {
                position += 2
            } else if text[position] == UInt8(ascii: "\"") {
                return position + 1
            } else {
                position += 1
            }
        }
        throw Failure(.sourceFailed, "a JSON text ends in the middle")
    }

    private static func skipBlanks(_ text: [UInt8], _ start: Int) -> Int {
        var position = start
        while position < text.count, [9, 10, 13, 32].contains(text[position]) { position += 1 }
        return position
    }
}
