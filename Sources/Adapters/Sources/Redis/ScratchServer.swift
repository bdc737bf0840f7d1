// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc

/// A server of Salvor's own that holds a staged copy. It lives in a folder, listens with a password made up for it, keeps
/// nothing on disk, and outlives the process that started it, so that a restore can be promoted later.
struct ScratchServer: Sendable {
    /// What is needed to find it again; kept in its folder, mode 0600.
    private struct Identity: Codable {
        var program: String
        var address: String
        var port: Int
        var password: String
    }

    let directory: String
    private let identity: Identity
    private let transport: any Transport

    /// Where the live server reaches it.
    var address: String { identity.address }
    var port: Int { identity.port }
    var password: String { identity.password }

    /// The RDB that it loads at its start.
    static func dump(in directory: String) -> String { directory + "/dump.rdb" }

    var endpoint: RedisEndpoint {
        RedisEndpoint(
            transport: transport, host: "127.0.0.1", port: identity.port, user: nil,
            password: .known(identity.password), timeoutSeconds: 60)
    }

    /// The server of that folder, running and done with loading: found, or started anew.
    ///
    /// - Throws: `Failure(.restoreFailed)` with the server's words when it does not load the RDB.
    static func running(
        in directory: String, program: String, address: String, databases: Int, modules: [String],
        transport: any Transport
    ) async throws -> ScratchServer {
        if let found = try await find(in: directory, transport: transport), found.address == address,
            try await found.isOurs()
        {
            try await found.waitUntilLoaded()
            return found
        }
        try await remove(in: directory, transport: transport, keepDump: true)
        for attempt in 1...3 {
            let port = try await Blocking.run { try freePort() }
            let password = (0..<4).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
            let server = ScratchServer(
                directory: directory,
                identity: Identity(program: program, address: address, port: port, password: password),
                transport: transport)
            try await server.start(databases: databases, modules: modules)
            do {
                try await server.waitUntilLoaded()
                return server
            } catch let failure as Failure where attempt < 3 && failure.summary.contains("already in use") {
                continue  // somebody took the port in between
            }
        }
        throw Failure(.restoreFailed, "no port for a scratch server")
    }

    /// Stops the server of that folder, if there is one, and removes its files.
    static func remove(in directory: String, transport: any Transport, keepDump: Bool = false) async throws {
        if let server = try await find(in: directory, transport: transport) { try await server.stop() }
        try await Blocking.run {
            let names = ["scratch.json", "redis.conf", "redis.pid", "redis.log"] + (keepDump ? [] : ["dump.rdb"])
            for name in names where unlink("\(directory)/\(name)") != 0 && errno != ENOENT && errno != ENOTDIR {
                throw Failure(.localInput, "unable to remove '\(directory)/\(name)'")
            }
        }
    }

    // MARK: Life

    private static func find(in directory: String, transport: any Transport) async throws -> ScratchServer? {
        let identity: Identity? = try await Blocking.run {
            guard let data = FileManager.default.contents(atPath: directory + "/scratch.json") else { return nil }
            return try JSONDecoder().decode(Identity.self, from: data)
        }
        return identity.map { ScratchServer(directory: directory, identity: $0, transport: transport) }
    }

    /// Whether what answers at the port is this folder's server, and not whoever has the port now.
    private func isOurs() async throws -> Bool {
        do {
            return try await endpoint.connect().info()["config_file"] == directory + "/redis.conf"
        } catch is Failure { return false } catch is RespRefusal { return false }
    }

    private func start(databases: Int, modules: [String]) async throws {
        let text = configuration(databases: databases, modules: modules)
        let data = try JSONEncoder().encode(identity)
        let directory = directory
        try await Blocking.run {
            // The identity goes first: a server that runs can then always be found.
            try DurableFile.write(String(decoding: data, as: UTF8.self), to: directory + "/scratch.json")
            try DurableFile.write(text, to: directory + "/redis.conf")
        }
        _ = try await transport.output(of: Program(identity.program, [directory + "/redis.conf"]))
    }

    private func configuration(databases: Int, modules: [String]) -> String {
        let bind = identity.address == "127.0.0.1" ? "127.0.0.1" : "127.0.0.1 \(identity.address)"
        // As a replica of nobody it keeps keys that have expired, so that counts can be compared.
        let lines = [
            "bind \(bind)", "port \(identity.port)", "requirepass \(identity.password)", "daemonize yes",
            "dir \(Self.quoted(directory))", "pidfile \(Self.quoted(directory + "/redis.pid"))",
            "logfile \(Self.quoted(directory + "/redis.log"))", "dbfilename dump.rdb", "save \"\"", "appendonly no",
            "maxmemory 0", "maxmemory-policy noeviction", "databases \(databases)", "replicaof 127.0.0.1 1",
            "replica-read-only yes", "replica-serve-stale-data yes", "repl-diskless-sync yes",
            "repl-diskless-sync-delay 0", "client-output-buffer-limit replica 0 0 0",
        ]
        return (lines + modules.map { "loadmodule \(Self.quoted($0))" }).joined(separator: "\n") + "\n"
    }

    private func waitUntilLoaded() async throws {
        let begun = ContinuousClock.now
        while true {
            do {
                let info = try await endpoint.connect().info()
                if info["config_file"] == directory + "/redis.conf" {
                    if !info.isLoading { return }
                } else if begun.duration(to: .now) > .seconds(5) {
                    throw Failure(.restoreFailed, "port \(port) is already in use by another server")
                }
            } catch is Failure where begun.duration(to: .now) < .seconds(2) || isAlive() {
                try Task.checkCancellation()
            } catch is Failure {
                throw Failure(
                    .restoreFailed, "the scratch server did not load the copy: \(try await lastWords())",
                    hint: "The live server was not touched.")
            }
            try await Task.sleep(for: .milliseconds(30))
        }
    }

    private func stop() async throws {
        if try await isOurs() {
            // The connection ends instead of an answer.
            do { _ = try await endpoint.connect().command("SHUTDOWN", "NOSAVE") } catch is Failure {
            } catch is RespRefusal {}
        }
        for _ in 0..<100 where isAlive() { try await Task.sleep(for: .milliseconds(50)) }
        if let pid = processID(), isAlive() { kill(pid, SIGKILL) }
        for _ in 0..<100 where isAlive() { try await Task.sleep(for: .milliseconds(50)) }
    }

    /// The process of the pid file, if it really works in this folder.
    private func processID() -> pid_t? {
        guard let text = FileManager.default.contents(atPath: directory + "/redis.pid"),
            let pid = pid_t(String(decoding: text, as: UTF8.self).filter(\.isNumber)), pid > 1
        else { return nil }
        let workplace = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")  // gone: not ours
        var (left, right) = (stat(), stat())
        guard let workplace, stat(workplace, &left) == 0, stat(directory, &right) == 0 else { return nil }
        return left.st_ino == right.st_ino && left.st_dev == right.st_dev ? pid : nil
    }

    private func isAlive() -> Bool {
        guard let pid = processID() else { return false }
        return kill(pid, 0) == 0
    }

    private func lastWords() async throws -> String {
        let directory = directory
        return try await Blocking.run {
            let log = FileManager.default.contents(atPath: directory + "/redis.log") ?? Data()
            let lines = String(decoding: log.suffix(8 << 10), as: UTF8.self).split(whereSeparator: \.isNewline)
            // Lines read `12:M 21 Nov 2026 02:00:03.123 # words`; warnings carry the #.
            let words = lines.suffix(12).compactMap { line in
                line.split(separator: " # ", maxSplits: 1).dropFirst().first.map(String.init)
            }
            return words.isEmpty ? "it ended without a word" : words.suffix(3).joined(separator: "; ")
        }
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(.localInput, "unable to make a socket") }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard status == 0 else { throw Failure(.localInput, "unable to find a free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// A word as redis.conf reads it.
    private static func quoted(_ text: String) -> String {
        let plain = text.utf8.map { byte in
            byte < 32 || byte == 34 || byte == 92 || byte > 126
                ? "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
                : String(UnicodeScalar(byte))
        }
        return "\"" + plain.joined() + "\""
    }
}
