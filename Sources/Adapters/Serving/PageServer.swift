// SPDX-License-Identifier: Apache-2.0
import Domain
import FlyingFox
import FlyingSocks
import Foundation
import Glibc

/// One answer of the server.
public struct Page: Sendable {
    public var contentType: String
    public var text: String

    public init(contentType: String, text: String) {
        self.contentType = contentType
        self.text = text
    }
}

/// A small HTTP server for pages that are made on demand; only GET and HEAD, nothing is ever changed through it.
public struct PageServer: Sendable {
    /// Makes a page; quick, since what is slow is kept ready by others.
    public typealias Maker = @Sendable () async -> Page

    private let address: ListenAddress
    private let pages: [String: Maker]
    /// Requests under way when the server is told to end may go on for so many seconds.
    private static let patience = 5.0

    /// - Parameter pages: by path, such as `/metrics`.
    public init(_ address: ListenAddress, pages: [String: Maker]) {
        self.address = address
        self.pages = pages
    }

    /// Serves until the task is cancelled; then ends what is under way, and returns.
    ///
    /// - Parameter started: told the address once it listens, with the port that was chosen.
    /// - Throws: `Failure(.localInput)` when the address cannot be had.
    public func run(started: @Sendable (ListenAddress) async throws -> Void) async throws {
        // A peer that went away is an error of one write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        let server: HTTPServer
        do { server = try make(Handler(pages: pages)) } catch { throw Self.failure(address, error) }
        let (moments, moment) = AsyncThrowingStream<Void, any Error>.makeStream()
        let serving = Task {
            do { try await server.run() } catch is CancellationError {} catch {
                let failure = Self.failure(address, error)
                moment.finish(throwing: failure)
                throw failure
            }
        }
        let waiting = Task {
            do {
                try await server.waitUntilListening()
                moment.yield()
            } catch { moment.finish(throwing: Self.failure(address, error)) }
        }
        defer { waiting.cancel() }
        do {
            // Whichever is first: it listens, or it cannot.
            for try await _ in moments { break }
            try Task.checkCancellation()
            try await started(await listening(server))
            try await withTaskCancellationHandler {
                try await serving.value
            } onCancel: {
                Task { await server.stop(timeout: Self.patience) }
            }
        } catch {
            let isEnding = Task.isCancelled
            await server.stop(timeout: isEnding ? Self.patience : 0)
            serving.cancel()
            if !isEnding { throw error }
        }
    }

    private func make(_ handler: Handler) throws -> HTTPServer {
        if address.isIPv6 {
            let place = try sockaddr_in6.inet6(ip6: address.host, port: address.port)
            return HTTPServer(address: place, logger: .disabled, handler: handler)
        }
        let place = try sockaddr_in.inet(ip4: address.host, port: address.port)
        return HTTPServer(address: place, logger: .disabled, handler: handler)
    }

    private func listening(_ server: HTTPServer) async -> ListenAddress {
        switch await server.listeningAddress {
        case .ip4(let host, let port), .ip6(let host, let port): ListenAddress(host: host, port: port)
        case .unix, nil: address
        }
    }

    private static func failure(_ address: ListenAddress, _ error: any Error) -> Failure {
        let reason =
            if case SocketError.failed(_, _, let message) = error { message } else { String(describing: error) }
        return Failure(
            .localInput, "unable to listen on \(address): \(reason)",
            hint: "Is another program there already? Name another address with --listen.")
    }

    private struct Handler: HTTPHandler {
        let pages: [String: Maker]

        func handleRequest(_ request: HTTPRequest) async throws -> HTTPResponse {
            guard let page = pages[request.path] else {
                return response(.notFound, Page(contentType: "text/plain; charset=utf-8", text: "not found\n"))
            }
            switch request.method {
            case .GET: return response(.ok, await page())
            case .HEAD:
                var answer = response(.ok, await page())
                answer.payload = .httpBody(HTTPBodySequence(data: Data()))
                return answer
            default:
                var answer = response(
                    .methodNotAllowed, Page(contentType: "text/plain; charset=utf-8", text: "only GET\n"))
                answer.headers[HTTPHeader("Allow")] = "GET, HEAD"
                return answer
            }
        }

        private func response(_ status: HTTPStatusCode, _ page: Page) -> HTTPResponse {
            HTTPResponse(
                statusCode: status,
                headers: [
                    .contentType: page.contentType, HTTPHeader("Cache-Control"): "no-store",
                    HTTPHeader("X-Content-Type-Options"): "nosniff",
                ], body: Data(page.text.utf8))
        }
    }
}
