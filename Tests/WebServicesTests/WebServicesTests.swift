// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Synchronization
import TestSupport
import Testing
import Transports

@testable import WebServices

@Suite struct WebServicesTests {
    private static func server(_ url: String, key: String? = nil) throws -> WebServer {
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        var settings = WebSettings(port: 1)
        try settings.take(url: url) { Failure(.configuration, $0) }
        settings.login = key.map { .key(SecretReference($0, mark: mark)) }
        let environment = AdapterEnvironment(
            source: SourceSettings(
                name: "web", adapter: "web", transport: .local, settings: .mapping([], mark), mark: mark),
            transport: LocalTransport(), secrets: GivenSecrets(), clock: SystemClock())
        return WebServer(
            system: "Search", settings: settings, environment: environment, keyHeader: "api-key", timeoutSeconds: 5)
    }

    private struct GivenSecrets: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String {
            guard case .literal(let text) = reference.kind else { throw Failure(.secretUnavailable, "none") }
            return text
        }
    }

    @Test("An unexpected status names system, step and the server's words, and never the key")
    func failures() async throws {
        let server = try HTTPDouble { request in
            .response(403, body: Array("{\"message\":\"key \(request.header("api-key") ?? "") may not\"}".utf8))
        }
        await #expect {
            try await Self.server(server.url, key: "s3cret").use {
                _ = try await $0.send("GET", "/x", step: "listing the collections")
            }
        } throws: { error in
            let failure = error as? Failure
            return failure?.code == .sourceDenied && failure?.hint != nil
                && failure?.summary
                    == "Search at \(server.url): listing the collections: answered 403 (key <redacted> may not)"
        }
        #expect(server.requests.count == 1)
    }

    @Test("A request that was put off is sent again, a POST that broke off is not")
    func retries() async throws {
        let seen = Mutex(0)
        let server = try HTTPDouble { request in
            let number = seen.withLock { seen in
                seen += 1
                return seen
            }
            if request.method == "POST" { return .raw([], reset: true) }
            return number < 3 ? .response(429, headers: [("Retry-After", "0")]) : .response(200, body: Array("{}".utf8))
        }
        try await Self.server(server.url).use {
            let found = try await $0.json("GET", "/x", step: "looking")
            #expect(found == .object([:]))
        }
        #expect(server.requests.count == 3)
        await #expect(throws: Failure.self) {
            try await Self.server(server.url).use { _ = try await $0.send("POST", "/x", step: "changing") }
        }
        #expect(server.requests.count == 4)
    }

    @Test("Nobody there is unreachable, and says where to look")
    func unreachable() async throws {
        let port = try LoopbackSocket.freePorts(1)[0]
        await #expect {
            try await Self.server("http://127.0.0.1:\(port)").use { _ = try await $0.send("GET", "/", step: "asking") }
        } throws: { ($0 as? Failure)?.code == .sourceUnreachable && ($0 as? Failure)?.hint != nil }
    }

    @Test("Settings take a URL or its parts, and refuse both")
    func settings() throws {
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        func read(_ pairs: [(String, String)]) throws -> WebSettings {
            let inner = ConfigNode.mapping(
                pairs.map { (key: $0.0, mark: mark, value: .scalar($0.1, isQuoted: false, mark)) }, mark)
            let outer = ConfigNode.mapping([(key: "connection", mark: mark, value: inner)], mark)
            return try WebSettings(
                try ConfigReader(outer, path: "s", allowed: ["connection"]), port: 7700, usesKey: true)
        }
        #expect(try read([("url", "https://search.example.com/api/")]).url == "https://search.example.com:443/api")
        #expect(try read([("url", "http://[::1]:7700")]).url == "http://[::1]:7700")
        #expect(try read([("host", "db"), ("tls", "true")]).url == "https://db:7700")
        for bad in [
            [("url", "ftp://x")], [("url", "http://a"), ("port", "1")], [("url", "http://u:p@h")], [("urk", "x")],
            [("url", "http://h:99999")],
        ] { #expect(throws: Failure.self) { _ = try read(bad) } }
    }

    @Test("Elements come out as they were written")
    func elements() throws {
        let text = """
            {"offset":0,"x":["results"],"results":[ {"id":1,"n":12345678901234567890,"t":"a,]}\\"["},
             {"id":2,
              "deep":{"results":[1,2]}} ],"total":2}
            """
        let found = try JSONElements.split(Array(text.utf8), key: "results")
        #expect(
            found?.map { String(decoding: $0, as: UTF8.self) } == [
                "{\"id\":1,\"n\":12345678901234567890,\"t\":\"a,]}\\\"[\"}",
                "{\"id\":2,   \"deep\":{\"results\":[1,2]}} ",
            ])
        #expect(try JSONElements.split(Array("{\"results\":[]}".utf8), key: "results") == [])
        #expect(try JSONElements.split(Array("{\"other\":[]}".utf8), key: "results") == nil)
        #expect(throws: Failure.self) { _ = try JSONElements.split(Array("{\"results\":[1,2".utf8), key: "results") }
    }

    @Test("Names are chosen by pattern, and given names do not pile up")
    func names() {
        #expect(ChosenNames(["a*", "b"], excluded: ["*old"]).contains("abc"))
        #expect(!ChosenNames(["a*", "b"], excluded: ["*old"]).contains("a-old"))
        #expect(ChosenNames(["a*c"]).missing(from: ["abd"]) == ["a*c"])
        #expect(NamePattern("a*b*c").matches("a-b-c") && !NamePattern("a*b*c").matches("ac"))
        #expect(GivenNames.staged("docs", "k3") == "docs__salvor_k3")
        #expect(GivenNames.staged("docs__salvor_k3", "m4") == "docs__salvor_m4")
        #expect(SafeName.isValid(GivenNames.stream("snapshot", String(repeating: "ä", count: 200))))
        #expect(Base64.encode("Aladdin:open sesame") == "QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    }
}
