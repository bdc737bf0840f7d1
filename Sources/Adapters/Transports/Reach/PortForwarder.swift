// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc
import Synchronization

/// A port of this host's loopback, each of whose connections leads to one on the far side.
enum PortForwarder {
    /// Seconds that a connection may take.
    static let patience = 20

    /// Does `body` while the port listens. Every local user could connect to it meanwhile.
    ///
    /// - Parameter connect: makes one far connection, a descriptor that belongs to the forwarder; tried once before `body`,
    ///   so that what cannot be reached is told at once.
    static func run<Result: Sendable>(
        _ connect: @escaping @Sendable () async throws -> Int32, _ body: (ReachedPort) async throws -> Result
    ) async throws -> Result {
        close(try await connect())
        let (listener, port) = try listen()
        let connections = Connections()
        let accepting = Task {
            try await Blocking.run {
                while true {
                    let raw = accept(listener.raw, nil, nil)
                    if raw < 0, errno == EINTR || errno == ECONNABORTED { continue }
                    guard raw >= 0 else { return }
                    _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
                    connections.add(OwnedSocket(raw), connect)
                }
            }
        }
        defer {
            // Wakes `accept`, which then fails.
            listener.end()
            connections.end()
            accepting.cancel()
        }
        return try await body(ReachedPort(host: "127.0.0.1", port: port))
    }

    private static func listen() throws -> (OwnedSocket, Int) {
        let listener = OwnedSocket(socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener.raw, $0, length) == 0 && Glibc.listen(listener.raw, 64) == 0
                    && getsockname(listener.raw, $0, &length) == 0
            }
        }
        guard isListening else {
            throw Failure(.localInput, "unable to listen on the loopback: \(String(cString: strerror(errno)))")
        }
        return (listener, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// The connections that are open.
    private final class Connections: Sendable {
        private struct State {
            var sockets: [ObjectIdentifier: OwnedSocket] = [:]
            var isEnded = false
        }
        private let state = Mutex(State())

        func add(_ socket: OwnedSocket, _ connect: @escaping @Sendable () async throws -> Int32) {
            let isWelcome = state.withLock { state in
                if !state.isEnded { state.sockets[ObjectIdentifier(socket)] = socket }
                return !state.isEnded
            }
            guard isWelcome else { return }
            Task {
                // A far side that does not let us in shows as a connection that ends at once.
                if let raw = try? await connect() {
                    let far = OwnedSocket(raw)
                    await SocketPump.run(socket, SocketPump.FarEnd(far))
                    far.end()
                }
                socket.end()
                state.withLock { _ = $0.sockets.removeValue(forKey: ObjectIdentifier(socket)) }
            }
        }

        func end() {
            let open = state.withLock { state in
                state.isEnded = true
                return Array(state.sockets.values)
            }
            for socket in open { socket.end() }
        }
    }
}
