// SPDX-License-Identifier: Apache-2.0

/// One value of the Redis serialisation protocol, version 2 (https://redis.io/docs/latest/develop/reference/protocol-spec/).
indirect enum RespValue: Sendable, Equatable {
    case simple(String)
    /// The server's refusal, such as `NOPERM …`.
    case error(String)
    case integer(Int64)
    case bulk([UInt8])
    case null
    case array([RespValue])

    /// The text of a simple or bulk string, or of an integer; nil for anything else. Bytes that are not UTF-8 are repaired.
    var text: String? {
        switch self {
        case .simple(let text): text
        case .bulk(let bytes): String(decoding: bytes, as: UTF8.self)
        case .integer(let value): String(value)
        case .error, .null, .array: nil
        }
    }

    /// The elements of an array; nil for anything else.
    var elements: [RespValue]? {
        guard case .array(let values) = self else { return nil }
        return values
    }

    /// An array of alternating names and values by name; empty for anything else.
    var pairs: [String: RespValue] {
        guard let elements, elements.count.isMultiple(of: 2) else { return [:] }
        var result: [String: RespValue] = [:]
        for index in stride(from: 0, to: elements.count, by: 2) {
            if let name = elements[index].text { result[name] = elements[index + 1] }
        }
        return result
    }
}

/// What a server answered instead of doing as told.
struct RespRefusal: Error, Sendable, CustomStringConvertible {
    /// The command's name, without its arguments, which may be secret.
    var command: String
    /// The server's words.
    var message: String

    init(command: String, message: String) {
        self.command = command
        // A server that does not know a command repeats its arguments, and they may be secret.
        let words = ", with args beginning"
        let start = message.indices.first { message[$0...].hasPrefix(words) }
        self.message = String(message[..<(start ?? message.endIndex)])
    }

    var description: String { "\(command) was refused: \(message)" }

    /// Whether the user lacks a right, or must authenticate first.
    var isDenied: Bool {
        ["NOPERM", "NOAUTH", "WRONGPASS", "DENIED", "ERR invalid password", "ERR AUTH"].contains {
            message.hasPrefix($0)
        }
    }

    /// Whether the server does not know the command or one of its arguments: too old, or renamed.
    var isUnknown: Bool {
        let text = message.lowercased()
        return text.contains("unknown command") || text.contains("unknown subcommand")
            || text.contains("syntax error") || text.contains("wrong number of arguments")
            || text.contains("unrecognized")
    }
}
