// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A blocking TCP socket on 127.0.0.1 that closes itself with its owner.
public final class LoopbackSocket: Sendable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// A port that refuses connections and is nobody else's for as long as the socket lives: bound, without listening.
    public static func refusing() throws -> (socket: LoopbackSocket, port: Int) { try bound(listens: false) }

    /// A socket that listens on a free port, and that port.
    public static func listening() throws -> (socket: LoopbackSocket, port: Int) { try bound(listens: true) }

    private static func bound(listens: Bool) throws -> (socket: LoopbackSocket, port: Int) {
        let socket = try make()
        var address = Self.address(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
                try check(bind(socket.descriptor, general, size), "bind")
                if listens { try check(listen(socket.descriptor, 64), "listen") }
                try check(getsockname(socket.descriptor, general, &size), "getsockname")
            }
        }
        return (socket, Int(in_port_t(bigEndian: address.sin_port)))
    }

    /// A socket connected to `port`.
    public static func connected(to port: Int) throws -> LoopbackSocket {
        let socket = try make()
        var address = Self.address(port: port)
        try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
                try check(connect(socket.descriptor, general, socklen_t(MemoryLayout<sockaddr_in>.size)), "connect")
            }
        }
        return socket
    }

    /// Different ports on which nobody listened a moment ago.
    public static func freePorts(_ count: Int) throws -> [Int] {
        // All are held at once, so that none is given twice.
        let held = try (0..<count).map { _ in try listening() }
        return held.map(\.port)
    }

    /// The next connection, or an error once the socket was stopped.
    public func accept() throws -> LoopbackSocket {
        let client = Foundation.accept(descriptor, nil, nil)
        try Self.check(client, "accept")
        // A child that inherits the socket would keep it open after we have closed it.
        _ = fcntl(client, F_SETFD, FD_CLOEXEC)
        return LoopbackSocket(client)
    }

    /// Some bytes; none at the end.
    public func read(atMost count: Int = 64 << 10) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = recv(descriptor, &bytes, count, 0)
        try Self.check(Int32(clamping: got), "recv")
        return Array(bytes[..<got])
    }

    /// Sends all of `bytes`.
    public func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            try Self.check(Int32(clamping: count), "send")
            sent += count
        }
    }

    /// Makes closing send a reset instead of an orderly end.
    public func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// Wakes whoever blocks in this socket.
    public func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private static func make() throws -> LoopbackSocket {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, kind, 0)
        try check(descriptor, "socket")
        return LoopbackSocket(descriptor)
    }

    private static func address(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return address
    }

    private static func check(_ result: Int32, _ call: String) throws {
        guard result < 0 else { return }
        throw SocketError(description: "\(call): \(String(cString: strerror(errno)))")
    }

    /// A socket call that failed.
    public struct SocketError: Error, CustomStringConvertible {
        public let description: String
    }
}
