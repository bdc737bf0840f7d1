// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Reads HTTP/1.1 messages from a socket, for doubles and proxies in tests.
struct HTTPMessageReader {
    private let socket: LoopbackSocket
    private var buffered: [UInt8] = []

    init(_ socket: LoopbackSocket) {
        self.socket = socket
    }

    /// The start line and the fields of a message.
    struct Head {
        var start: String
        var fields: [(name: String, value: String)]

        func value(_ name: String) -> String? {
            fields.first { $0.name.lowercased() == name }?.value
        }
    }

    /// The next message's head; nil when the peer has closed.
    mutating func head() throws -> Head? {
        var lines: [String] = []
        while true {
            guard let line = try line() else { return nil }
            if line.isEmpty {
                if lines.isEmpty { continue }
                break
            }
            lines.append(line)
        }
        let fields = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
        }
        return Head(start: lines[0], fields: fields)
    }

    /// The body that belongs to `head`; with `mayBeOpenEnded`, one without a length lasts until the peer closes.
    mutating func body(of head: Head, mayBeOpenEnded: Bool) throws -> [UInt8] {
        if head.value("transfer-encoding")?.lowercased() == "chunked" {
            var body: [UInt8] = []
            while true {
                let size = Int(try requiredLine().prefix { $0 != ";" }, radix: 16) ?? 0
                if size == 0 { break }
                body += try bytes(size)
                _ = try requiredLine()
            }
            while try !requiredLine().isEmpty {}
            return body
        }
        if let length = head.value("content-length").flatMap({ Int($0) }) { return try bytes(length) }
        guard mayBeOpenEnded else { return [] }
        while try fill() {}
        defer { buffered = [] }
        return buffered
    }

    private mutating func bytes(_ count: Int) throws -> [UInt8] {
        while buffered.count < count {
            guard try fill() else { throw LoopbackSocket.SocketError(description: "the peer closed in the middle") }
        }
        defer { buffered.removeFirst(count) }
        return Array(buffered[..<count])
    }

    private mutating func requiredLine() throws -> String {
        guard let line = try line() else { throw LoopbackSocket.SocketError(description: "the peer closed early") }
        return line
    }

    private mutating func line() throws -> String? {
        while true {
            if let end = buffered.firstIndex(of: 10) {
                let line = buffered[..<end].filter { $0 != 13 }
                buffered.removeFirst(end + 1)
                return String(decoding: line, as: UTF8.self)
            }
            guard try fill() else { return nil }
        }
    }

    private mutating func fill() throws -> Bool {
        let more = try socket.read(atMost: 256 << 10)
        buffered += more
        return !more.isEmpty
    }
}
