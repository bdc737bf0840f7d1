// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// Opens stream sockets with a time-out; blocking calls.
enum SocketConnection {
    /// A connected, blocking descriptor; the caller closes it.
    ///
    /// - Throws: `Failure(.sourceUnreachable)` with the last address's error.
    static func open(host: String, port: Int, timeoutSeconds: Int) throws -> Int32 {
        if host.hasPrefix("/") { return try openUnix(path: host, timeoutSeconds: timeoutSeconds) }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else {
            throw Failure(
                .sourceUnreachable, "unable to resolve '\(host)': \(String(cString: gai_strerror(status)))", hint: hint)
        }
        defer { freeaddrinfo(list) }
        var problem = "no address"
        var next = list
        while let info = next?.pointee {
            next = info.ai_next
            let descriptor = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), info.ai_protocol)
            guard descriptor >= 0 else {
                problem = String(cString: strerror(errno))
                continue
            }
            if let error = connect(descriptor, info.ai_addr, info.ai_addrlen, timeoutSeconds) {
                problem = error
                close(descriptor)
                continue
            }
            return descriptor
        }
        throw Failure(.sourceUnreachable, "unable to connect to \(host):\(port): \(problem)", hint: hint)
    }

    private static let hint = "Is the server up, and is 'connection' in the plan right?"

    private static func openUnix(path: String, timeoutSeconds: Int) throws -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { room in
            guard bytes.count < room.count else { return false }
            room.copyBytes(from: bytes)
            return true
        }
        guard fits else { throw Failure(.sourceUnreachable, "the socket path '\(path)' is too long") }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw Failure(.sourceUnreachable, "unable to make a socket: \(String(cString: strerror(errno)))")
        }
        let error = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size), timeoutSeconds)
            }
        }
        if let error {
            close(descriptor)
            throw Failure(.sourceUnreachable, "unable to connect to '\(path)': \(error)", hint: hint)
        }
        return descriptor
    }

    /// nil when connected, else the reason.
    private static func connect(
        _ descriptor: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t, _ timeoutSeconds: Int
    ) -> String? {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) >= 0 else {
            return String(cString: strerror(errno))
        }
        if Glibc.connect(descriptor, address, length) != 0 {
            guard errno == EINPROGRESS else { return String(cString: strerror(errno)) }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let ready = poll(&waiting, 1, Int32(timeoutSeconds * 1000))
            guard ready > 0 else {
                return ready == 0 ? "no answer in \(timeoutSeconds) s" : String(cString: strerror(errno))
            }
            var error: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 else {
                return String(cString: strerror(errno))
            }
            guard error == 0 else { return String(cString: strerror(error)) }
        }
        guard fcntl(descriptor, F_SETFL, flags) >= 0 else { return String(cString: strerror(errno)) }
        return nil
    }
}
