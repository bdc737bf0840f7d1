// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc
import Synchronization

/// One connection to a server. Calls block; `command` makes them from asynchronous code.
final class RespConnection: Sendable {
    private struct Buffer {
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        var start = 0
        var end = 0
    }

    /// `host:port` or the socket's path, for messages.
    let name: String
    /// This end's address as the server sees it on the route to us, when it is an address of the network.
    let localAddress: String?
    private let descriptor: Int32
    private let timeoutSeconds: Int
    // One caller at a time; the lock makes a second one wait instead of mixing replies.
    private let buffer = Mutex(Buffer())

    /// Takes over `descriptor`, which is closed with the value. No reply byte for `timeoutSeconds` is a failure.
    init(descriptor: Int32, name: String, timeoutSeconds: Int, localAddress: String?) {
        self.descriptor = descriptor
        self.name = name
        self.localAddress = localAddress
        self.timeoutSeconds = timeoutSeconds
        var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(descriptor)
    }

    /// Sends a command and gives the reply.
    ///
    /// - Throws: `RespRefusal` when the reply is an error, `Failure(.sourceUnreachable)` when there is none.
    func command(_ words: [String]) async throws -> RespValue {
        try await CancellationFlag.run { flag in try self.call(words, flag) }
    }

    func command(_ words: String...) async throws -> RespValue { try await command(words) }

    /// The blocking form of `command`.
    func call(_ words: [String], _ flag: CancellationFlag) throws -> RespValue {
        try send(words)
        let reply = try buffer.withLock { try value(&$0, flag, depth: 0) }
        if case .error(let message) = reply { throw RespRefusal(command: words.first ?? "", message: message) }
        return reply
    }

    /// Sends a command without waiting.
    func send(_ words: [String]) throws {
        var message = Array("*\(words.count)\r\n".utf8)
        for word in words {
            message += Array("$\(word.utf8.count)\r\n".utf8)
            message += Array(word.utf8)
            message += [13, 10]
        }
        try message.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count {
                let count = Glibc.send(
                    descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw lost(String(cString: strerror(errno))) }
                sent += count
            }
        }
    }

    /// Ends the conversation: whoever reads finds the end.
    func hangUp() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Whether a byte, or the end, can be read within so many milliseconds.
    func isReadable(milliseconds: Int) -> Bool {
        buffer.withLock { buffer in
            if buffer.start < buffer.end { return true }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&waiting, 1, Int32(milliseconds)) > 0
        }
    }

    /// Reads the next byte.
    func byte(_ flag: CancellationFlag) throws -> UInt8 {
        try buffer.withLock { try byte(&$0, flag) }
    }

    /// Reads up to the next end of line, which is dropped.
    func line(_ flag: CancellationFlag) throws -> String {
        try buffer.withLock { try line(&$0, flag) }
    }

    /// Reads some bytes, as they arrive; 0 when the server has closed the connection.
    func read(into room: UnsafeMutableRawBufferPointer, _ flag: CancellationFlag) throws -> Int {
        try buffer.withLock { buffer in
            let kept = min(buffer.end - buffer.start, room.count)
            if kept > 0 {
                buffer.bytes.withUnsafeBytes {
                    room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[buffer.start..<(buffer.start + kept)]))
                }
                buffer.start += kept
                return kept
            }
            return try receive(room, flag)
        }
    }

    /// A socket's own address, when it is one of the network.
    static func localAddress(of descriptor: Int32) -> String? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let family: Int32? = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard getsockname(descriptor, address, &length) == 0,
                    getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
                else { return nil }
                return Int32(address.pointee.sa_family)
            }
        }
        guard family == AF_INET || family == AF_INET6 else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    // MARK: Reading

    private func value(_ buffer: inout Buffer, _ flag: CancellationFlag, depth: Int) throws -> RespValue {
        let line = try line(&buffer, flag)
        let rest = String(line.dropFirst())
        switch line.utf8.first {
        case UInt8(ascii: "+"): return .simple(rest)
        case UInt8(ascii: "-"): return .error(rest)
        case UInt8(ascii: ":"):
            guard let number = Int64(rest) else { throw garbled() }
            return .integer(number)
        case UInt8(ascii: "$"):
            guard let length = Int(rest), length >= -1, length <= 512 << 20 else { throw garbled() }
            if length == -1 { return .null }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(length)
            while bytes.count < length + 2 {
                if buffer.start == buffer.end { try fill(&buffer, flag) }
                let count = min(buffer.end - buffer.start, length + 2 - bytes.count)
                bytes += buffer.bytes[buffer.start..<(buffer.start + count)]
                buffer.start += count
            }
            guard bytes.suffix(2) == [13, 10] else { throw garbled() }
            return .bulk(Array(bytes.dropLast(2)))
        case UInt8(ascii: "*"):
            guard let count = Int(rest), count >= -1, count <= 10_000_000, depth < 16 else { throw garbled() }
            if count == -1 { return .null }
            return .array(try (0..<count).map { _ in try value(&buffer, flag, depth: depth + 1) })
        default: throw garbled()
        }
    }

    private func line(_ buffer: inout Buffer, _ flag: CancellationFlag) throws -> String {
        var bytes: [UInt8] = []
        while true {
            let byte = try byte(&buffer, flag)
            if byte == 10 { break }
            guard bytes.count < 1 << 16 else { throw garbled() }
            bytes.append(byte)
        }
        if bytes.last == 13 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func byte(_ buffer: inout Buffer, _ flag: CancellationFlag) throws -> UInt8 {
        if buffer.start == buffer.end { try fill(&buffer, flag) }
        defer { buffer.start += 1 }
        return buffer.bytes[buffer.start]
    }

    private func fill(_ buffer: inout Buffer, _ flag: CancellationFlag) throws {
        buffer.start = 0
        buffer.end = 0
        buffer.end = try buffer.bytes.withUnsafeMutableBytes { try receive($0, flag) }
        guard buffer.end > 0 else { throw lost("the server closed the connection") }
    }

    private func receive(_ room: UnsafeMutableRawBufferPointer, _ flag: CancellationFlag) throws -> Int {
        let slice = 200
        var waited = 0
        while true {
            try flag.check()
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&waiting, 1, Int32(slice))
            if ready == 0 {
                waited += slice
                guard waited < timeoutSeconds * 1000 else { throw lost("no answer in \(timeoutSeconds) s") }
                continue
            }
            let count = ready < 0 ? -1 : recv(descriptor, room.baseAddress, room.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw lost(String(cString: strerror(errno))) }
            return count
        }
    }

    private func lost(_ reason: String) -> Failure {
        Failure(.sourceUnreachable, "lost the connection to \(name): \(reason)")
    }

    private func garbled() -> Failure {
        Failure(.sourceUnreachable, "\(name) does not speak the Redis protocol", hint: "Check host and port.")
    }
}
