// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Transports

@Suite("Containers", .serialized)
struct ContainerTests {
    @Test("programs, ports and what goes wrong, with a real engine", arguments: ThrowawayEngine.Kind.allCases)
    func engine(_ kind: ThrowawayEngine.Kind) async throws {
        let engine = try await ThrowawayEngine.start(kind)
        try await engine.container("db", .redis)
        let transport = engine.transport("db")
        #expect(transport.description == "\(kind):db")
        try await TransportContract(transport: transport) { try await engine.run("exec", "db", "sh", "-c", $0) }.all()

        try await user(engine)
        try await ports(engine)
        try await failures(engine)
        try await death(engine)
        if kind == .docker { try await compose(engine) }
    }

    private func user(_ engine: ThrowawayEngine) async throws {
        let bytes = try await engine.transport("db", user: "nobody").output(of: Program("id", ["-u"]))
        #expect(String(decoding: bytes, as: UTF8.self) == "65534\n")
        let failure = try await failed(engine.transport("db", user: "nosuchuser"))
        #expect(failure.code == .sourceDenied)
        #expect(failure.summary.contains("no user 'nosuchuser'"), "\(failure)")
    }

    /// A server that listens on the container's own loopback, and on a socket there.
    private func ports(_ engine: ThrowawayEngine) async throws {
        let transport = engine.transport("db")
        _ = try await transport.output(
            of: Program(
                "redis-server",
                ["--port", "7777", "--bind", "127.0.0.1", "--daemonize", "yes", "--unixsocket", "/run/r.sock"]))
        let answer = try await transport.reach(host: "127.0.0.1", port: 7777) { place in
            try await FarTransportTests.ask(place, "ECHO hello\r\n")
        }
        #expect(answer == "$5\r\nhello\r\n")
        let socket = try await transport.connect(host: "/run/r.sock", port: 0, timeoutSeconds: 5)
        #expect(try await Blocking.run { FarTransportTests.exchange(socket, "PING\r\n") } == "+PONG\r\n")
        let failure = try await #require(throws: Failure.self) {
            _ = try await transport.connect(host: "localhost", port: 7778, timeoutSeconds: 5)
        }
        #expect(failure.code == .sourceUnreachable)
    }

    private func failures(_ engine: ThrowawayEngine) async throws {
        let missing = try await failed(engine.transport("nosuch"))
        #expect(missing.summary == "\(engine.kind):nosuch: there is no such container")
        #expect(missing.hint?.contains("ps --all") == true)
        let port = await #expect(throws: Failure.self) {
            try await engine.transport("nosuch").connect(host: "localhost", port: 1, timeoutSeconds: 5)
        }
        #expect(port?.summary == "\(engine.kind):nosuch: there is no such container")

        try await engine.container("stopped")
        try await engine.kill("stopped")
        #expect(try await failed(engine.transport("stopped")).summary.hasSuffix("the container is not running"))

        try await engine.container("bare")
        try await engine.run("exec", "bare", "rm", "/usr/bin/sh")
        let shell = try await failed(engine.transport("bare"))
        #expect(shell.code == .programMissing, "\(shell)")
        #expect(shell.summary.hasSuffix("the container has no 'sh'"), "\(shell)")

        if engine.kind == .docker {
            let settings = ContainerSettings(container: "db", engine: "unix:///nowhere/d.sock")
            let down = try await failed(TransportFactory.make(.docker(settings), environment: engine.environment))
            #expect(down.summary == "docker:db: the engine does not answer", "\(down)")
        }
    }

    /// The container dies while a program sends.
    private func death(_ engine: ThrowawayEngine) async throws {
        try await engine.container("mortal")
        let transport = engine.transport("mortal")
        let failure = try await #require(throws: Failure.self) {
            _ = try await transport.run(Program("sh", ["-c", "echo up; yes"])) { pipes in
                _ = try await TransportContract.readUntil(pipes, "up")
                try await engine.kill("mortal", waits: false)
                return try await Blocking.run { try pipes.forEachChunk { _ in } }
            }
        }
        #expect(failure.code == .sourceUnreachable, "\(failure)")
    }

    private func compose(_ engine: ThrowawayEngine) async throws {
        func labels(_ service: String) -> [String] {
            ["--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=\(service)"]
        }
        try await engine.container("shop-db-1", options: labels("db"))
        try await engine.container("shop-web-1", options: labels("web"))
        try await engine.container("shop-web-2", options: labels("web"))
        func transport(_ service: String) -> any Transport {
            TransportFactory.make(
                .compose(ComposeSettings(project: "shop", service: service)), environment: engine.environment)
        }
        let name = try await transport("db").output(of: Program("sh", ["-c", "cat /proc/self/cgroup"]))
        #expect(!name.isEmpty)
        #expect(transport("db").description == "compose:shop/db")
        let several = try await failed(transport("web"))
        #expect(several.summary.hasSuffix("runs in 2 containers: shop-web-1, shop-web-2"), "\(several)")
        let none = try await failed(transport("cache"))
        #expect(none.summary == "no running container of service 'cache' in compose project 'shop'")
    }

    private func failed(_ transport: any Transport) async throws -> Failure {
        try await #require(throws: Failure.self) { _ = try await transport.output(of: Program("true", [])) }
    }
}
