// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Transfer

@Suite struct TransferTests {
    @Test("A body and a query arrive as they were given, and the reply comes back whole")
    func roundTrip() throws {
        let server = try HTTPDouble { request in
            .response(201, headers: [("X-Seen", request.method)], body: request.body.reversed())
        }
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let client = HTTPClient()
        for method in ["PUT", "POST"] {
            let response = try client.perform(
                HTTPRequest(method, "\(server.url)/a/../b%20c?x=1&y=%2F", headers: [HTTPHeader("X-A", "b")], body: body)
            )
            #expect(response.status == 201)
            #expect(response.header("x-seen") == method)
            #expect(response.body == body.reversed())
        }
        let request = try #require(server.requests.first)
        #expect(request.target == "/a/../b%20c?x=1&y=%2F")
        #expect(request.body == body)
        #expect(request.header("X-A") == "b")
        #expect(request.header("Content-Length") == "3000000")
        #expect(request.header("Transfer-Encoding") == nil)
    }

    @Test("HEAD, DELETE and empty bodies need no length in the reply's body")
    func methodsWithoutBody() throws {
        let server = try HTTPDouble { request in
            switch request.method {
            case "HEAD": .response(200, headers: [("Content-Length", "1234")])
            case "DELETE": .raw(Array("HTTP/1.1 204 No Content\r\n\r\n".utf8), reset: false)
            default: .response(200)
            }
        }
        let client = HTTPClient()
        let head = try client.perform(HTTPRequest("HEAD", server.url + "/x"))
        #expect(head.header("content-length") == "1234")
        #expect(head.body.isEmpty)
        #expect(try client.perform(HTTPRequest("DELETE", server.url + "/x")).status == 204)
        #expect(try client.perform(HTTPRequest("PUT", server.url + "/x", body: [])).status == 200)
        #expect(server.requests.last?.header("Content-Length") == "0")
    }

    @Test("A status is a reply, not an error, and redirects are not followed", arguments: [301, 404, 412, 500, 503])
    func statuses(status: Int) throws {
        let server = try HTTPDouble { _ in .response(status, headers: [("Location", "/elsewhere")], body: [1, 2]) }
        let response = try HTTPClient().perform(HTTPRequest("GET", server.url + "/"))
        #expect(response.status == status)
        #expect(response.body == [1, 2])
        #expect(server.requests.count == 1)
    }

    /// A reply that is not whole, and what it must be called.
    struct Breakdown: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var reply: HTTPDouble.Reply
        var kind: TransferError.Kind
    }

    static let breakdowns = [
        Breakdown(
            testDescription: "closed before the announced length",
            reply: .raw(Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".utf8), reset: false),
            kind: .shortBody),
        Breakdown(
            testDescription: "reset in the middle of the body",
            reply: .raw(Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".utf8), reset: true), kind: .reset),
        Breakdown(
            testDescription: "closed in the middle of a chunk",
            reply: .raw(
                Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf".utf8), reset: false),
            kind: .shortBody),
        Breakdown(
            testDescription: "closed between chunks",
            reply: .raw(
                Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".utf8), reset: false),
            kind: .shortBody),
        Breakdown(
            testDescription: "without any length",
            reply: .raw(Array("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwho knows".utf8), reset: false),
            kind: .shortBody),
        Breakdown(testDescription: "closed without a reply", reply: .raw([], reset: false), kind: .reset),
        Breakdown(testDescription: "reset without a reply", reply: .raw([], reset: true), kind: .reset),
        Breakdown(
            testDescription: "larger than allowed",
            reply: .response(200, body: [UInt8](repeating: 7, count: 5000)), kind: .tooLarge),
        Breakdown(testDescription: "silence", reply: .silence, kind: .stalled),
    ]

    @Test("An incomplete reply is an error that tells what happened", arguments: breakdowns)
    func incomplete(_ breakdown: Breakdown) throws {
        let server = try HTTPDouble { _ in breakdown.reply }
        var request = HTTPRequest("GET", server.url + "/")
        request.limits.maximumResponse = 4096
        request.limits.stallSeconds = 1
        let error = #expect(throws: TransferError.self) { try HTTPClient().perform(request) }
        #expect(error?.kind == breakdown.kind, "\(error.map(String.init(describing:)) ?? "none")")
        #expect(error?.mayHaveArrived == true)
    }

    @Test("A port nobody listens on and a name nobody has are told apart")
    func unreachable() throws {
        let port = try LoopbackSocket.freePorts(1)[0]
        let refused = #expect(throws: TransferError.self) {
            try HTTPClient().perform(HTTPRequest("GET", "http://127.0.0.1:\(port)/"))
        }
        #expect(refused?.kind == .connect)
        #expect(refused?.mayHaveArrived == false)
        let unknown = #expect(throws: TransferError.self) {
            try HTTPClient().perform(HTTPRequest("GET", "http://no-such-host.invalid/", route: .init(proxy: .none)))
        }
        #expect(unknown?.kind == .resolve)
        let invalid = #expect(throws: TransferError.self) {
            try HTTPClient().perform(HTTPRequest("GET", "file:///etc/passwd"))
        }
        #expect(invalid?.kind == .invalid)
    }

    @Test("Only the given authority is trusted, and a bad CA file is a TLS error")
    func certificates() async throws {
        let server = try await SeaweedFS.shared().tls
        let client = HTTPClient()
        let trusted = try client.perform(HTTPRequest("GET", server.url + "/", route: .init(caFile: server.caFile)))
        #expect(trusted.status == 403)
        let other = try TemporaryDirectory("ca")
        let stranger = try TestCertificates(in: other.path).caFile
        for caFile in [nil, stranger, other("missing.crt")] {
            let error = #expect(throws: TransferError.self) {
                try client.perform(HTTPRequest("GET", server.url + "/", route: .init(caFile: caFile)))
            }
            #expect(error?.kind == .tls, "\(error.map(String.init(describing:)) ?? "none")")
        }
    }

    @Test("A proxy that is given is used, and one in the environment can be left out")
    func proxy() throws {
        let proxy = try HTTPDouble { request in .response(200, body: Array(request.target.utf8)) }
        let response = try HTTPClient().perform(
            HTTPRequest("GET", "http://store.invalid/key", route: .init(proxy: .url(proxy.url))))
        #expect(String(decoding: response.body, as: UTF8.self) == "http://store.invalid/key")
    }

    @Test("Cancelling the task ends a silent transfer")
    func cancellation() async throws {
        let (started, signal) = AsyncStream.makeStream(of: Void.self)
        let server = try HTTPDouble { _ in
            signal.yield()
            return .silence
        }
        let url = server.url
        let task = Task { try await HTTPClient().send(HTTPRequest("GET", url + "/")) }
        for await _ in started { break }
        let clock = ContinuousClock()
        let begin = clock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        // Without the cancellation it would last until the limit for silence, a minute.
        #expect(clock.now - begin < .seconds(50))
    }

    @Test("A header value with a line break is refused")
    func headerInjection() throws {
        let error = #expect(throws: TransferError.self) {
            try HTTPClient().perform(
                HTTPRequest("GET", "http://127.0.0.1:1/", headers: [HTTPHeader("X", "a\r\nHost: b")]))
        }
        #expect(error?.kind == .invalid)
    }

    @Test("Transfers share one upload limit")
    func uploadLimit() async throws {
        let limit = UploadLimit(bytesPerSecond: 1000)
        #expect(limit.book(500, at: 100) == 0)
        #expect(abs(limit.book(500, at: 100) - 0.5) < 1e-9)
        #expect(abs(limit.book(1000, at: 100.5) - 0.5) < 1e-9)
        // Idle time earns nothing.
        #expect(limit.book(1, at: 1000) == 0)

        let server = try HTTPDouble { _ in .response(200) }
        let client = HTTPClient(uploadLimit: UploadLimit(bytesPerSecond: 400_000))
        let url = server.url
        let clock = ContinuousClock()
        let begin = clock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    _ = try await client.send(
                        HTTPRequest("PUT", url + "/", body: [UInt8](repeating: 1, count: 150_000)))
                }
            }
            try await group.waitForAll()
        }
        // 300 000 bytes less the last grant at 400 000 a second.
        #expect(clock.now - begin > .milliseconds(600))
    }

    @Test("A library older than the headers, or without TLS, is refused")
    func libraryVersion() throws {
        try TransferLibrary.requireUsable()
        #expect(TransferLibrary.version.hasPrefix("7.") || TransferLibrary.version.hasPrefix("8."))
        let text = TransferLibrary.problem(loaded: 0x074000, builtWith: 0x075801, hasTLS: true)
        #expect(text == "libcurl 7.64.0 is loaded, but salvor was built for 7.88.1 or newer")
        #expect(TransferLibrary.problem(loaded: 0x080000, builtWith: 0x075801, hasTLS: false) != nil)
        #expect(TransferLibrary.problem(loaded: 0x080000, builtWith: 0x075801, hasTLS: true) == nil)
    }
}
