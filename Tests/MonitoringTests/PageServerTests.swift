// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Serving
import TestSupport
import Testing

@Suite("The metrics' server")
struct PageServerTests {
    private static let pages: [String: PageServer.Maker] = [
        "/metrics": { Page(contentType: "text/plain; version=0.0.4", text: "salvor_test 1\n") }
    ]

    /// Runs `body` beside a server, which ends when the body does.
    private func serving(
        _ listen: ListenAddress = ListenAddress(host: "127.0.0.1", port: 0),
        _ body: @escaping @Sendable (ListenAddress) async throws -> Void
    ) async throws {
        let (addresses, address) = AsyncStream<ListenAddress>.makeStream()
        let server = Task {
            defer { address.finish() }
            try await PageServer(listen, pages: Self.pages).run { address.yield($0) }
        }
        for await address in addresses {
            do { try await body(address) } catch {
                server.cancel()
                throw error
            }
            server.cancel()
        }
        try await server.value
    }

    private func curl(_ arguments: [String]) async throws -> String {
        let outcome = try await StockProgram.run("curl", ["-s", "-S", "--max-time", "20"] + arguments)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return outcome.text.replacing("\r\n", with: "\n")
    }

    @Test("a page is served with its type; everything else is refused; the end is orderly")
    func pages() async throws {
        try await serving { address in
            #expect(address.isLoopback && address.port != 0)
            let page = try await curl(["-i", "http://\(address)/metrics"])
            #expect(page.hasPrefix("HTTP/1.1 200") && page.hasSuffix("\n\nsalvor_test 1\n"), "\(page)")
            #expect(page.contains("Content-Type: text/plain; version=0.0.4\n"))
            let head = try await curl(["-I", "http://\(address)/metrics"])
            #expect(head.hasPrefix("HTTP/1.1 200") && !head.contains("salvor_test"), "\(head)")
            #expect(try await curl(["-i", "http://\(address)/../etc/passwd"]).hasPrefix("HTTP/1.1 404"))
            let post = try await curl(["-i", "-d", "x=1", "http://\(address)/metrics"])
            #expect(post.hasPrefix("HTTP/1.1 405") && post.contains("Allow: GET, HEAD"), "\(post)")
        }
    }

    @Test("an address that is taken, or not this host's, is an error that says so")
    func taken() async throws {
        try await serving { address in
            for host in [address, ListenAddress(host: "192.0.2.1", port: 9)] {
                do {
                    try await PageServer(host, pages: [:]).run { _ in Issue.record("it listens") }
                    Issue.record("no error")
                } catch let failure as Failure {
                    #expect(failure.code == .localInput && failure.summary.contains("unable to listen on \(host): "))
                    #expect(failure.hint?.contains("--listen") == true)
                }
            }
        }
    }

    @Test("a client that says nothing holds up neither the others nor the end")
    func silent() async throws {
        try await serving { address in
            let idle = try LoopbackSocket.connected(to: Int(address.port))
            #expect(try await curl(["http://\(address)/metrics"]) == "salvor_test 1\n")
            withExtendedLifetime(idle) {}
        }
    }

    @Test(
        "addresses are numeric, with a port",
        arguments: [
            ("127.0.0.1:9618", "127.0.0.1:9618", true), ("localhost:1", "127.0.0.1:1", true),
            ("[::1]:80", "[::1]:80", true), ("0.0.0.0:9618", "0.0.0.0:9618", false), ("[::]:1", "[::]:1", false),
            ("9618", nil, false), (":9618", nil, false), ("example.com:1", nil, false), ("127.0.0.1", nil, false),
            ("127.0.0.1:65536", nil, false), ("[x]:1", nil, false), ("::1:80", nil, false), ("127.0.1:80", nil, false),
        ] as [(String, String?, Bool)])
    func addresses(_ text: String, _ expected: String?, _ isLoopback: Bool) {
        let address = ListenAddress(text)
        #expect(address?.description == expected)
        #expect((address?.isLoopback ?? false) == isLoopback)
    }
}
