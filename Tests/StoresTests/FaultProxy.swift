// SPDX-License-Identifier: Apache-2.0
import Synchronization
import TestSupport

/// An HTTP proxy in front of a real server that spoils requests and replies as planned. Signatures stay valid, since it
/// passes the Host field on.
final class FaultProxy: Sendable {
    /// One planned fault, used up after `times` requests.
    struct Fault: Sendable, CustomStringConvertible {
        /// `PUT`, `GET`, …; `LIST` is a GET of the bucket.
        var method: String
        var effect: Effect
        var times = 1
        /// Requests of that kind that are left alone before.
        var after = 0

        var description: String { "\(method): \(effect), \(times) times" }
    }

    enum Effect: Sendable {
        /// The server is not asked; this status and code come back.
        case answer(Int, code: String, retryAfter: String? = nil)
        /// The server is not asked; the connection is reset.
        case resetBefore
        /// The server acts, but the connection is reset instead of its reply.
        case resetAfterwards
        /// The server acts, but its reply never comes.
        case silenceAfterwards
        /// The server acts, but a gateway answers with this status.
        case answerAfterwards(Int)
        /// The reply's body is cut in half under its old length.
        case cutBody
        /// The reply's body is cut in half under a length that fits.
        case shortenBody
        /// One bit of the body on its way to the server is another.
        case flipRequest
        /// One bit of the reply's body is another.
        case flipReply
        /// The reply has status 200 and no body.
        case emptyBody
        /// The reply is 200 with an error document.
        case errorInside
        /// The reply is the one to the first such request.
        case stale
    }

    private struct State {
        var faults: [Fault]
        var firstListing: [UInt8]?
    }

    private let state: Mutex<State>
    private let server: Mutex<HTTPDouble?> = Mutex(nil)
    let endpoint: S3Endpoint

    init(_ upstream: S3Endpoint, _ faults: [Fault]) throws {
        let port = Int(upstream.url.split(separator: ":").last ?? "") ?? 0
        let state = Mutex(State(faults: faults))
        self.state = consume state
        let relay = Relay()
        let double = try HTTPDouble { request in try relay.target?.handle(request, upstreamPort: port) ?? .silence }
        var endpoint = upstream
        endpoint.url = double.url
        self.endpoint = endpoint
        server.withLock { $0 = double }
        relay.set(self)
    }

    /// The handler is made before the proxy is whole.
    private final class Relay: Sendable {
        private let value = Mutex<Weak>(Weak())
        struct Weak { weak var proxy: FaultProxy? }
        var target: FaultProxy? { value.withLock { $0.proxy } }
        func set(_ proxy: FaultProxy) { value.withLock { $0 = Weak(proxy: proxy) } }
    }

    /// Requests that came, spoilt or not.
    var requests: [HTTPDouble.Request] { server.withLock { $0?.requests ?? [] } }

    /// The faults that were not met as often as planned.
    var left: [Fault] { state.withLock { $0.faults } }

    private static func kind(_ request: HTTPDouble.Request) -> String {
        request.target.contains("list-type=2") ? "LIST" : request.method
    }

    private func take(_ request: HTTPDouble.Request) -> Effect? {
        state.withLock { state in
            guard let index = state.faults.firstIndex(where: { $0.method == Self.kind(request) }) else { return nil }
            if state.faults[index].after > 0 {
                state.faults[index].after -= 1
                return nil
            }
            state.faults[index].times -= 1
            let effect = state.faults[index].effect
            if state.faults[index].times == 0 { state.faults.remove(at: index) }
            return effect
        }
    }

    private func handle(_ request: HTTPDouble.Request, upstreamPort: Int) throws -> HTTPDouble.Reply {
        let effect = take(request)
        var request = request
        switch effect {
        case .answer(let status, let code, let retryAfter):
            let headers = retryAfter.map { [("Retry-After", $0)] } ?? []
            return .response(status, headers: headers, body: Self.document(code))
        case .resetBefore: return .raw([], reset: true)
        case .flipRequest where !request.body.isEmpty: request.body[request.body.count / 2] ^= 1
        default: break
        }
        let reply = try HTTPDouble.forward(request, toPort: upstreamPort)
        return spoil(reply, Self.kind(request), effect)
    }

    private func spoil(
        _ reply: (status: Int, headers: [(String, String)], body: [UInt8]), _ kind: String, _ effect: Effect?
    ) -> HTTPDouble.Reply {
        var body = reply.body
        if kind == "LIST" {
            state.withLock { if $0.firstListing == nil { $0.firstListing = body } }
        }
        switch effect {
        case .resetAfterwards: return .raw([], reset: true)
        case .silenceAfterwards: return .silence
        case .answerAfterwards(let status): return .response(status, body: Array("<html>bad gateway</html>".utf8))
        case .cutBody:
            let head = "HTTP/1.1 \(reply.status) Test\r\nContent-Length: \(body.count)\r\n\r\n"
            return .raw(Array(head.utf8) + body[..<(body.count / 2)], reset: false)
        case .shortenBody: body.removeLast(body.count - body.count / 2)
        case .flipReply where !body.isEmpty: body[body.count / 2] ^= 1
        case .emptyBody: body = []
        case .errorInside: body = Self.document("InternalError")
        case .stale: body = state.withLock { $0.firstListing } ?? body
        default: break
        }
        return .response(reply.status, headers: reply.headers, body: body)
    }

    static func document(_ code: String, message: String = "planned") -> [UInt8] {
        Array(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>\(code)</Code><Message>\(message)</Message></Error>"
                .utf8)
    }
}
