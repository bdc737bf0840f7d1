// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport

/// Passes one server's bytes on and hangs up after some of them.
final class ShortServer: Sendable {
    let port: Int
    private let listener: Int32

    /// - Parameter limit: bytes of each connection that reach the client.
    init(target: Int, limit: Int) throws {
        port = try ThrowawayRedis.freePort()
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        listener = descriptor
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        guard Self.with(port, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 8) == 0 else {
            throw MortalJournal.Killed()
        }
        Thread {
            while true {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else { return }
                let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                guard Self.with(target, { connect(server, $0, $1) }) == 0 else { continue }
                Thread {
                    Self.pass(client, server, Int.max)
                }.start()
                Thread {
                    Self.pass(server, client, limit)
                    // Not closed: the other thread still reads them, and the test process is short-lived.
                    shutdown(client, Int32(SHUT_RDWR))
                    shutdown(server, Int32(SHUT_RDWR))
                }.start()
            }
        }.start()
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func pass(_ from: Int32, _ to: Int32, _ limit: Int) {
        var left = limit
        var buffer = [UInt8](repeating: 0, count: 4096)
        while left > 0 {
            let count = recv(from, &buffer, min(left, buffer.count), 0)
            guard count > 0, send(to, buffer, count, Int32(MSG_NOSIGNAL)) == count else { return }
            left -= count
        }
    }

    private static func with(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
