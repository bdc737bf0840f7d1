// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Transports

@Suite("ssh", .serialized)
struct SSHTests {
    @Test("programs behave as local ones do, with a real sshd")
    func contract() async throws {
        let server = try await ThrowawaySSH.start()
        try await TransportContract(transport: server.transport()) { command in
            String(decoding: try await LocalTransport().output(of: Program("sh", ["-c", command])), as: UTF8.self)
        }.all()
    }

    @Test("a port beside the server is reached, and what is not there is told")
    func ports() async throws {
        let server = try await ThrowawaySSH.start()
        let redis = try ThrowawayRedis()
        let transport = server.transport()
        let descriptor = try await transport.connect(host: "127.0.0.1", port: redis.port, timeoutSeconds: 10)
        #expect(try await Blocking.run { FarTransportTests.exchange(descriptor, "ECHO hi\r\n") } == "$2\r\nhi\r\n")
        let answer = try await transport.reach(host: "127.0.0.1", port: redis.port) { place in
            try await FarTransportTests.ask(place, "PING\r\n")
        }
        #expect(answer == "+PONG\r\n")
        let port = try ThrowawayRedis.freePort()
        let failure = try await #require(throws: Failure.self) {
            _ = try await transport.connect(host: "127.0.0.1", port: port, timeoutSeconds: 10)
        }
        #expect(failure.summary == "ssh:127.0.0.1: unable to connect to 127.0.0.1:\(port) there", "\(failure)")
    }

    @Test("forwarding that the server forbids is told")
    func forbidden() async throws {
        let server = try await ThrowawaySSH.start(options: ["AllowTcpForwarding no"])
        let redis = try ThrowawayRedis()
        let failure = try await #require(throws: Failure.self) {
            _ = try await server.transport().connect(host: "127.0.0.1", port: redis.port, timeoutSeconds: 10)
        }
        #expect(failure.code == .sourceDenied)
        #expect(failure.summary == "ssh:127.0.0.1: forwarding is not allowed")
    }

    @Test("a host whose key is not known, or another one, is not talked to; a key it does not know is refused")
    func keys() async throws {
        let server = try await ThrowawaySSH.start()
        let unknown = try await failed(server.transport(knownHosts: try server.folder.write("none", "")))
        #expect(unknown.code == .sourceDenied)
        #expect(unknown.summary == "ssh:127.0.0.1: the host's key is not known", "\(unknown)")

        let other = try String(contentsOfFile: server.folder("user.pub"), encoding: .utf8)
        let wrong = try server.folder.write("wrong", "[127.0.0.1]:\(server.port) \(other)")
        let changed = try await failed(server.transport(knownHosts: wrong))
        #expect(changed.code == .sourceDenied)
        #expect(changed.summary == "ssh:127.0.0.1: the host shows another key than the known one", "\(changed)")

        try ShortCommand.run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", server.folder("stranger")])
        let refused = try await failed(server.transport(identity: server.folder("stranger")))
        #expect(refused.code == .sourceDenied)
        #expect(refused.summary == "ssh:127.0.0.1: the host refuses the login", "\(refused)")

        let settings = SSHSettings(host: "127.0.0.1", port: try ThrowawayRedis.freePort())
        let nobody = try await failed(TransportFactory.make(.ssh(settings)))
        #expect(nobody.summary == "ssh:127.0.0.1: nothing listens there", "\(nobody)")
    }

    @Test("a server that goes away half way leaves no good output")
    func death() async throws {
        let server = try await ThrowawaySSH.start()
        let failure = try await #require(throws: Failure.self) {
            _ = try await server.transport().run(Program("sh", ["-c", "echo up $PPID; yes"])) { pipes in
                let line = try await TransportContract.readUntil(pipes, "up 000000")
                // The far shell's parent is sshd's process for this connection; its end is that of the network.
                guard let shell = line.split(whereSeparator: \.isWhitespace).dropFirst().first else { return }
                try ShortCommand.run("sh", ["-c", "kill -KILL $(awk '{print $4}' /proc/\(shell)/stat)"])
                try await Blocking.run { _ = try pipes.forEachChunk { _ in } }
            }
        }
        #expect(failure.code == .sourceUnreachable, "\(failure)")
    }

    @Test("programs share one login, and get one of their own where the server allows no more sessions in it")
    func sharing() async throws {
        let server = try await ThrowawaySSH.start()
        try await run(8, over: server.transport())
        #expect(try logins(server) == 1)
        let folder = NSTemporaryDirectory() + "salvor-ssh-\(geteuid())"
        let mode = try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int
        #expect(mode == 0o700)

        let narrow = try await ThrowawaySSH.start(options: ["MaxSessions 1"])
        let transport = narrow.transport()
        let (exit, holder) = try await transport.run(Program("cat", [])) { pipes in
            // While this one holds the only session, another comes.
            let exit = try await transport.outputAndExit(of: Program("sh", ["-c", "echo word >&2"])).1
            try await Blocking.run { try pipes.closeInput() }
            return exit
        }
        #expect(holder.isSuccess && holder.standardError.isEmpty, "\(holder)")
        #expect(exit.isSuccess && exit.standardError.split(separator: "\n") == ["word"], "\(exit)")
        #expect(try logins(narrow) == 2)
    }

    private func run(_ count: Int, over transport: any Transport) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            // The first makes the connection: of several at once each would make its own.
            _ = try await transport.output(of: Program("true", []))
            for number in 0..<count {
                group.addTask {
                    let said = try await transport.output(of: Program("echo", [String(number)]))
                    #expect(said == Array("\(number)\n".utf8))
                }
            }
            try await group.waitForAll()
        }
    }

    private func logins(_ server: ThrowawaySSH) throws -> Int {
        try String(contentsOfFile: server.folder("log"), encoding: .utf8).split(whereSeparator: \.isNewline)
            .filter { $0.contains("Accepted publickey") }.count
    }

    private func failed(_ transport: any Transport) async throws -> Failure {
        try await #require(throws: Failure.self) { _ = try await transport.output(of: Program("true", [])) }
    }
}
