// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Transfer

@Suite struct StreamTests {
    private static let large = (0..<6_000_000).map { UInt8(truncatingIfNeeded: $0 &* 37 >> 4) }

    /// Collects what a download gives away.
    private final class Collected: Sendable {
        private let parts = Mutex<[UInt8]>([])
        var bytes: [UInt8] { parts.withLock { $0 } }
        func take(_ more: UnsafeRawBufferPointer) { parts.withLock { $0.append(contentsOf: more) } }
    }

    private struct Stop: Error {}

    @Test("A body larger than the limit on replies in memory is given away part by part")
    func download() async throws {
        let server = try HTTPDouble { _ in .response(200, body: Self.large) }
        let got = Collected()
        let request = HTTPRequest("GET", server.url + "/file", limits: .init(maximumResponse: 1000))
        let reply = try await HTTPClient().download(request) { got.take($0) }
        #expect(reply.handedOver == UInt64(Self.large.count))
        #expect(reply.body.isEmpty)
        #expect(got.bytes == Self.large)
    }

    @Test("Chunks count as a body once the last one was there")
    func chunks() async throws {
        let whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        let server = try HTTPDouble { .raw(Array(($0.path == "/whole" ? whole : cut).utf8), reset: false) }
        #expect(try await HTTPClient().download(HTTPRequest("GET", server.url + "/whole")) { _ in }.handedOver == 5)
        await #expect(throws: TransferError.self) {
            _ = try await HTTPClient().download(HTTPRequest("GET", server.url + "/cut")) { _ in }
        }
    }

    @Test(
        "A body that ends early, or does not say how long it is, is an error",
        arguments: ["Content-Length: 10\r\n", "", "Connection: close\r\n"])
    func short(header: String) async throws {
        let server = try HTTPDouble { _ in .raw(Array("HTTP/1.1 200 OK\r\n\(header)\r\nhello".utf8), reset: false) }
        await #expect {
            _ = try await HTTPClient().download(HTTPRequest("GET", server.url + "/")) { _ in }
        } throws: { ($0 as? TransferError)?.kind == .shortBody }
    }

    @Test("The body of a refusal is for the caller, not for the consumer")
    func refusal() async throws {
        let server = try HTTPDouble { _ in .response(404, body: Array("gone".utf8)) }
        let got = Collected()
        let reply = try await HTTPClient().download(HTTPRequest("GET", server.url + "/")) { got.take($0) }
        #expect(reply.status == 404 && reply.body == Array("gone".utf8) && got.bytes.isEmpty)
    }

    @Test("A consumer that stops ends the transfer with its own error")
    func stopping() async throws {
        let server = try HTTPDouble { _ in .response(200, body: Self.large) }
        await #expect(throws: Stop.self) {
            _ = try await HTTPClient().download(HTTPRequest("GET", server.url + "/")) { _ in throw Stop() }
        }
    }

    @Test("A download and an upload end when their task is cancelled")
    func cancelling() async throws {
        let server = try HTTPDouble { _ in .silence }
        for isUpload in [false, true] {
            let task = Task {
                if isUpload {
                    _ = try await HTTPClient().upload(
                        HTTPRequest("POST", server.url + "/"), length: 3
                    ) { try $0.write([1, 2, 3]) }
                } else {
                    _ = try await HTTPClient().download(HTTPRequest("GET", server.url + "/")) { _ in }
                }
            }
            while server.requests.count < (isUpload ? 2 : 1) { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test("An upload arrives as it was written, with its length announced")
    func upload() async throws {
        let server = try HTTPDouble { .response(200, body: SHA256Digest.of($0.body).bytes) }
        let reply = try await HTTPClient().upload(
            HTTPRequest("PUT", server.url + "/file"), length: UInt64(Self.large.count)
        ) { sink in
            try await Blocking.run {
                for start in stride(from: 0, to: Self.large.count, by: 777_777) {
                    try sink.write(Array(Self.large[start..<min(start + 777_777, Self.large.count)]))
                }
            }
        }
        #expect(reply.body == SHA256Digest.of(Self.large).bytes)
        #expect(server.requests.first?.header("content-length") == "6000000")
        #expect(server.requests.first?.header("transfer-encoding") == nil)
    }

    @Test("A body of unknown length arrives in chunks")
    func unknownLength() async throws {
        let server = try HTTPDouble { .response(200, body: SHA256Digest.of($0.body).bytes) }
        let reply = try await HTTPClient().upload(HTTPRequest("POST", server.url + "/"), length: nil) { sink in
            try await Blocking.run { try sink.write(Self.large) }
        }
        #expect(reply.body == SHA256Digest.of(Self.large).bytes)
        #expect(server.requests.first?.header("transfer-encoding") == "chunked")
        #expect(server.requests.first?.header("content-length") == nil)
    }

    @Test("A producer is held back while the server does not read")
    func backPressure() async throws {
        let (listener, port) = try LoopbackSocket.listening()
        let written = Atomic<Int>(0)
        let count = 64 << 20
        let transfer = Task {
            try await HTTPClient().upload(
                HTTPRequest("POST", "http://127.0.0.1:\(port)/", limits: .init(stallSeconds: 30)), length: UInt64(count)
            ) { sink in
                try await Blocking.run {
                    let part = [UInt8](repeating: 7, count: 1 << 20)
                    for _ in 0..<(count >> 20) {
                        try sink.write(part)
                        written.add(1, ordering: .relaxed)
                    }
                }
            }
        }
        // Takes the head and no more; what the kernel and the feed hold is far from all of it.
        let client = try await Self.accept(listener, answering: "HTTP/1.1 100 Continue\r\n\r\n")
        var last = -1
        while written.load(ordering: .relaxed) != last || last == 0 {
            last = written.load(ordering: .relaxed)
            try await Task.sleep(for: .milliseconds(300))
        }
        #expect(last < 32)
        transfer.cancel()
        await #expect(throws: CancellationError.self) { _ = try await transfer.value }
        withExtendedLifetime(client) {}
    }

    @Test("A producer that fails, ends early or writes too much fails the upload with the reason")
    func producers() async throws {
        let server = try HTTPDouble { _ in .response(200) }
        let request = HTTPRequest("POST", server.url + "/")
        await #expect(throws: Stop.self) {
            _ = try await HTTPClient().upload(request, length: 10) { _ in throw Stop() }
        }
        for bytes in [[UInt8](repeating: 0, count: 9), [UInt8](repeating: 0, count: 11)] {
            await #expect(throws: TransferError.self) {
                _ = try await HTTPClient().upload(request, length: 10) { try $0.write(bytes) }
            }
        }
        #expect(server.requests.isEmpty)
    }

    @Test("A refusal before everything was sent is the answer; a success then is not believed", arguments: [507, 200])
    func early(status: Int) async throws {
        let (listener, port) = try LoopbackSocket.listening()
        let transfer = Task {
            try await HTTPClient().upload(
                HTTPRequest("POST", "http://127.0.0.1:\(port)/"), length: 64 << 20
            ) { sink in
                try await Blocking.run {
                    let part = [UInt8](repeating: 7, count: 1 << 20)
                    for _ in 0..<64 { try sink.write(part) }
                }
            }
        }
        let client = try await Self.accept(
            listener, answering: "HTTP/1.1 \(status) Early\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        if status == 507 {
            #expect(try await transfer.value.status == 507)
        } else {
            await #expect(throws: TransferError.self) { _ = try await transfer.value }
        }
        withExtendedLifetime(client) {}
    }

    /// A client that was read from once and answered; not on a thread that tasks need.
    private static func accept(_ listener: LoopbackSocket, answering words: String) async throws -> LoopbackSocket {
        try await Blocking.run {
            let client = try listener.accept()
            _ = try client.read(atMost: 512)
            try client.write(Array(words.utf8))
            return client
        }
    }

    @Test("A form holds the file as it is")
    func form() async throws {
        let form = MultipartFile(field: "snapshot", fileName: "a\"b.snapshot")
        let server = try HTTPDouble { .response(200, body: MultipartBody.file(of: $0, field: "snapshot") ?? []) }
        let file: [UInt8] = [1, 13, 10, 45, 45, 0, 255]
        let request = HTTPRequest("POST", server.url + "/", headers: [HTTPHeader("Content-Type", form.contentType)])
        let reply = try await HTTPClient().upload(request, length: form.length(UInt64(file.count))) { sink in
            try sink.write(form.head)
            try sink.write(file)
            try sink.write(form.tail)
        }
        #expect(reply.body == file)
    }

    @Test("A forwarded port is connected to while the server is still called by its own name")
    func forwarding() async throws {
        let server = try HTTPDouble { .response(200, body: Array(($0.header("host") ?? "").utf8)) }
        let route = HTTPRequest.Route(proxy: .none, connectTo: .init(host: "127.0.0.1", port: server.port))
        let reply = try await HTTPClient().send(HTTPRequest("GET", "http://search.internal:7700/", route: route))
        #expect(reply.body == Array("search.internal:7700".utf8))
    }
}
