// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CCurl
import Foundation
import Glibc

/// TLS over a connection that exists already, for protocols that are not HTTP: libcurl does the handshake and carries the
/// bytes (https://curl.se/libcurl/c/CURLOPT_CONNECT_ONLY.html).
public enum SecureSocket {
    /// Whom to trust, and who one is.
    public struct Identity: Sendable, Equatable {
        /// Certificates of the authorities, PEM; nil: the system's.
        public var authorityFile: String?
        /// This client's certificate and key, PEM.
        public var certificateFile: String?
        public var keyFile: String?

        public init(authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil) {
            self.authorityFile = authorityFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }
    }

    /// Makes the handshake over `connection`, which is taken over, and gives a descriptor for the plain bytes.
    ///
    /// The descriptor is the caller's; closing it, or shutting it down, ends the connection.
    ///
    /// - Parameter host: what the server's certificate must be for: a name or an address.
    /// - Throws: `TransferError`; `CancellationError` when the task is cancelled.
    public static func open(
        over connection: Int32, host: String, identity: Identity, timeoutSeconds: Int
    ) async throws -> Int32 {
        do {
            let secure = try await CancellationFlag.run { flag in
                try SecureConnection(
                    over: connection, host: host, identity: identity, timeoutSeconds: timeoutSeconds, flag)
            }
            return try secure.serve()
        } catch let error as TransferError where error.kind == .cancelled {
            throw CancellationError()
        }
    }
}

/// A handle whose handshake is done. One thread uses it at a time: first that of the handshake, then that of the pump.
private final class SecureConnection: Sendable {
    private let curl: CurlHandle
    private let socket: Int32

    init(
        over socket: Int32, host: String, identity: SecureSocket.Identity, timeoutSeconds: Int, _ flag: CancellationFlag
    ) throws {
        self.socket = socket
        do { curl = try CurlHandle() } catch {
            close(socket)
            throw error
        }
        let given = GivenSocket(socket)
        defer { given.closeUnlessTaken() }
        let state = TransferState(
            body: UnsafeRawBufferPointer(start: nil, count: 0), limit: nil, cancellation: flag, maximumResponse: 0)
        // The connection is made: the name is for the certificate only, and must not be looked up here, where it may mean
        // something else than beside the server.
        let isAddress = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
        let authority = host.contains(":") ? "[\(host)]" : host
        let names = isAddress ? nil : curl_slist_append(nil, "\(host):443:127.0.0.1")
        defer { curl_slist_free_all(names) }
        try withExtendedLifetime((state, given)) {
            try curl.withErrors(state) {
                let handle = curl.handle
                try curl.check(salvor_curl_set_text(handle, CURLOPT_URL, "https://\(authority):443"))
                try curl.check(salvor_curl_set_text(handle, CURLOPT_PROXY, ""))
                try curl.check(salvor_curl_set_long(handle, CURLOPT_CONNECT_ONLY, 1))
                try curl.check(salvor_curl_set_long(handle, CURLOPT_NOSIGNAL, 1))
                try curl.check(salvor_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, timeoutSeconds * 1000))
                // No HTTP is spoken, so none is offered.
                try curl.check(salvor_curl_set_long(handle, CURLOPT_SSL_ENABLE_ALPN, 0))
                if let names { try curl.check(salvor_curl_set_list(handle, CURLOPT_RESOLVE, names)) }
                if let file = identity.authorityFile {
                    try curl.check(salvor_curl_set_text(handle, CURLOPT_CAINFO, file))
                    try curl.check(salvor_curl_set_text(handle, CURLOPT_CAPATH, nil))
                }
                if let file = identity.certificateFile {
                    try curl.check(salvor_curl_set_text(handle, CURLOPT_SSLCERT, file))
                    try curl.check(salvor_curl_set_text(handle, CURLOPT_SSLKEY, identity.keyFile ?? file))
                }
                try curl.check(
                    salvor_curl_set_open_connection(
                        handle, GivenSocket.take, GivenSocket.isConnected,
                        Unmanaged.passUnretained(given).toOpaque()))
                try curl.setCallbacks(state)
            }
        }
        // What is called from now on must not reach values that are gone.
        _ = salvor_curl_set_progress_callback(curl.handle, nil)
    }

    /// Starts the thread that carries bytes both ways, and gives its plain end.
    func serve() throws -> Int32 {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw TransferError(.invalid, "no pair of sockets: \(String(cString: strerror(errno)))")
        }
        let near = ends[0]
        // It lasts as long as the connection.
        Thread {
            self.pump(near)
            close(near)
        }.start()
        return ends[1]
    }

    private func pump(_ near: Int32) {
        // A full buffer waits for its receiver, and the sender with it.
        var down = ByteQueue()
        var up = ByteQueue()
        var isFarAtEnd = false
        while true {
            if down.isEmpty, !isFarAtEnd {
                var count = 0
                switch down.fill({
                    curl_easy_recv(curl.handle, $0.baseAddress, $0.count, &count) == CURLE_AGAIN ? -1 : count
                })
                {
                case 0: isFarAtEnd = true
                default: break
                }
            }
            if isFarAtEnd, down.isEmpty { return }
            var waiting = [
                pollfd(fd: near, events: Int16((up.isEmpty ? POLLIN : 0) | (down.isEmpty ? 0 : POLLOUT)), revents: 0),
                pollfd(fd: socket, events: Int16((down.isEmpty ? POLLIN : 0) | (up.isEmpty ? 0 : POLLOUT)), revents: 0),
            ]
            guard poll(&waiting, 2, -1) > 0 || errno == EINTR else { return }
            let (there, broken) = (waiting[0].revents, Int16(POLLERR | POLLNVAL))
            if there & broken != 0 { return }
            if !down.isEmpty, there & Int16(POLLOUT | POLLHUP) != 0 {
                let sent = down.drain {
                    send(near, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
                }
                if sent < 0, errno != EAGAIN, errno != EINTR { return }
            }
            if up.isEmpty, there & Int16(POLLIN | POLLHUP) != 0 {
                let count = up.fill { recv(near, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)) }
                // Whoever is done with the connection closes it whole.
                if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { return }
            }
            if !up.isEmpty {
                var count = 0
                var code = CURLE_OK
                _ = up.drain {
                    code = curl_easy_send(curl.handle, $0.baseAddress, $0.count, &count)
                    return code == CURLE_OK ? count : 0
                }
                if code != CURLE_OK, code != CURLE_AGAIN { return }
            }
        }
    }
}

/// The connection that libcurl asks for, given once.
private final class GivenSocket {
    private let socket: Int32
    private var isTaken = false

    init(_ socket: Int32) { self.socket = socket }

    func closeUnlessTaken() { if !isTaken { close(socket) } }

    static let take: salvor_curl_socket_callback = { context, _, _ in
        guard let context else { return CURL_SOCKET_BAD }
        let given = Unmanaged<GivenSocket>.fromOpaque(context).takeUnretainedValue()
        guard !given.isTaken else { return CURL_SOCKET_BAD }
        given.isTaken = true
        return given.socket
    }

    static let isConnected: salvor_curl_connected_callback = { _, _, _ in Int32(CURL_SOCKOPT_ALREADY_CONNECTED) }
}

/// Bytes on their way in one direction.
private struct ByteQueue {
    private var bytes = [UInt8](repeating: 0, count: 64 << 10)
    private var start = 0
    private var end = 0

    var isEmpty: Bool { start == end }

    /// Lets `read` put bytes in; gives what it gives: their number, 0 at the end, less when there are none yet.
    mutating func fill(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        let count = bytes.withUnsafeMutableBytes { read($0) }
        (start, end) = (0, max(count, 0))
        return count
    }

    /// Lets `write` take bytes out; gives what it gives: their number, or less than 0.
    mutating func drain(_ write: (UnsafeRawBufferPointer) -> Int) -> Int {
        let count = bytes.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
        start += max(count, 0)
        return count
    }
}
