// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// An HTTP/1.1 server on 127.0.0.1 whose replies, and breakdowns, a test decides. It keeps every request it saw.
public final class HTTPDouble: Sendable {
    /// What a client sent.
    public struct Request: Sendable {
        public var method: String
        /// Path and query as sent.
        public var target: String
        public var headers: [(name: String, value: String)]
        public var body: [UInt8]

        public init(method: String, target: String, headers: [(name: String, value: String)], body: [UInt8]) {
            self.method = method
            self.target = target
            self.headers = headers
            self.body = body
        }

        /// The first value of a field, by its name in any case.
        public func header(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name.lowercased() }?.value
        }

        /// The target up to the question mark.
        public var path: String { String(target.prefix { $0 != "?" }) }
    }

    /// What the server does.
    public enum Reply: Sendable {
        /// Answers, with a `Content-Length` of its own unless one is given.
        case response(Int, headers: [(String, String)] = [], body: [UInt8] = [])
        /// Sends these bytes as they are, then closes in order or with a reset.
        case raw([UInt8], reset: Bool)
        /// Takes the request and never answers.
        case silence
    }

    public let port: Int
    private let listener: LoopbackSocket
    private let seen = Mutex<[Request]>([])
    private let open = Mutex<[LoopbackSocket]>([])

    /// `http://127.0.0.1:port`.
    public var url: String { "http://127.0.0.1:\(port)" }

    /// All requests so far, in the order they came.
    public var requests: [Request] { seen.withLock { $0 } }

    public init(_ handler: @escaping @Sendable (Request) throws -> Reply) throws {
        (listener, port) = try LoopbackSocket.listening()
        let listener = self.listener
        Thread.detachNewThread { [weak self] in
            // The only error is that the listener was stopped.
            while let client = try? listener.accept() {
                guard let self else { return }
                self.open.withLock { $0.append(client) }
                Thread.detachNewThread { [weak self] in
                    // A client that goes away in the middle is what many tests are about.
                    try? Self.serve(client, record: { request in self?.seen.withLock { $0.append(request) } }, handler)
                    self?.open.withLock { $0.removeAll { $0 === client } }
                }
            }
        }
    }

    deinit {
        listener.stop()
        open.withLock { $0 }.forEach { $0.stop() }
    }

    private static func serve(
        _ client: LoopbackSocket, record: (Request) -> Void, _ handler: (Request) throws -> Reply
    ) throws {
        var reader = HTTPMessageReader(client)
        while let head = try reader.head() {
            let words = head.start.split(separator: " ")
            guard words.count == 3 else { return }
            if head.value("expect")?.lowercased() == "100-continue" {
                try client.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
            }
            let body = try reader.body(of: head, mayBeOpenEnded: false)
            let request = Request(
                method: String(words[0]), target: String(words[1]), headers: head.fields, body: body)
            record(request)
            switch try handler(request) {
            case .response(let status, let headers, let body):
                let hasLength = headers.contains { $0.0.lowercased() == "content-length" }
                let length = hasLength ? [] : [("Content-Length", String(body.count))]
                try client.write(Self.head("HTTP/1.1 \(status) Test", headers + length))
                if request.method != "HEAD" { try client.write(body) }
            case .raw(let bytes, let reset):
                try client.write(bytes)
                if reset { client.resetOnClose() }
                return
            case .silence:
                while try !client.read().isEmpty {}
                return
            }
        }
    }

    /// The lines before a body.
    static func head(_ start: String, _ headers: [(String, String)]) -> [UInt8] {
        Array((start + "\r\n" + headers.map { "\($0.0): \($0.1)\r\n" }.joined() + "\r\n").utf8)
    }

    /// Sends a request as it is to a server on `port` of this machine, over a connection of its own, and gives the reply.
    public static func forward(
        _ request: Request, toPort port: Int
    ) throws -> (status: Int, headers: [(String, String)], body: [UInt8]) {
        let server = try LoopbackSocket.connected(to: port)
        let dropped = ["expect", "connection", "transfer-encoding", "content-length"]
        var headers = request.headers.filter { !dropped.contains($0.name.lowercased()) }
            .map { ($0.name, $0.value) }
        headers.append(("Connection", "close"))
        if !request.body.isEmpty || request.method == "PUT" || request.method == "POST" {
            headers.append(("Content-Length", String(request.body.count)))
        }
        try server.write(head("\(request.method) \(request.target) HTTP/1.1", headers))
        try server.write(request.body)
        var reader = HTTPMessageReader(server)
        guard let reply = try reader.head(), let status = reply.start.split(separator: " ").dropFirst().first,
            let code = Int(status)
        else { throw LoopbackSocket.SocketError(description: "no reply from port \(port)") }
        let hasNoBody = request.method == "HEAD" || code == 204 || code == 304
        let body = hasNoBody ? [] : try reader.body(of: reply, mayBeOpenEnded: true)
        let kept = reply.fields.filter {
            !["connection", "transfer-encoding"].contains($0.name.lowercased())
                && (hasNoBody || $0.name.lowercased() != "content-length")
        }
        return (code, kept.map { ($0.name, $0.value) }, body)
    }
}
