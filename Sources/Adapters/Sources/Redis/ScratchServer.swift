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
        /// Where its files are, when it runs beside a server that a transport reaches.
        var farDirectory: String?
    }

    let directory: String
    private let identity: Identity
    private let transport: any Transport

    /// Where the live server reaches it.
    var address: String { identity.address }
    var port: Int { identity.port }
    var password: String { identity.password }

    /// Where the server has its files.
    private var place: String { identity.farDirectory ?? directory }
    private var configurationPath: String { place + "/redis.conf" }

    /// The RDB that it loads at its start, on this host.
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
                identity: Identity(
                    program: program, address: address, port: port, password: password,
                    farDirectory: transport.reachesLocalFiles ? nil : FarScratch.directory()),
                transport: transport)
            try await server.start(databases: databases, modules: modules)
            do {
                try await server.waitUntilLoaded()
                return server
            } catch let failure as Failure where attempt < 3 && failure.summary.contains("already in use") {
                try await server.far?.remove()
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
            return try await endpoint.connect().info()["config_file"] == configurationPath
        } catch is Failure { return false } catch is RespRefusal { return false }
    }

    private func start(databases: Int, modules: [String]) async throws {
        let text = configuration(databases: databases, modules: modules)
        let data = try JSONEncoder().encode(identity)
        let directory = directory
        let isHere = far == nil
        try await Blocking.run {
            // The identity goes first: a server that runs can then always be found.
            try DurableFile.write(String(decoding: data, as: UTF8.self), to: directory + "/scratch.json")
            if isHere { try DurableFile.write(text, to: directory + "/redis.conf") }
        }
        if let far {
            try await far.make(configuration: text, dump: Self.dump(in: directory))
        }
        _ = try await transport.output(of: Program(identity.program, [configurationPath]))
    }

    private func configuration(databases: Int, modules: [String]) -> String {
        let bind = identity.address == "127.0.0.1" ? "127.0.0.1" : "127.0.0.1 \(identity.address)"
        // As a replica of nobody it keeps keys that have expired, so that counts can be compared.
        let lines = [
            "bind \(bind)", "port \(identity.port)", "requirepass \(identity.password)", "daemonize yes",
            "dir \(Self.quoted(place))", "pidfile \(Self.quoted(place + "/redis.pid"))",
            "logfile \(Self.quoted(place + "/redis.log"))", "dbfilename dump.rdb", "save \"\"", "appendonly no",
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
                if info["config_file"] == configurationPath {
                    if !info.isLoading { return }
                } else if begun.duration(to: .now) > .seconds(5) {
                    throw Failure(.restoreFailed, "port \(port) is already in use by another server")
                }
            } catch is Failure {
                try Task.checkCancellation()
                var isPatient = begun.duration(to: .now) < .seconds(2)
                if !isPatient { isPatient = await isAlive() }
                guard isPatient else {
                    throw Failure(
                        .restoreFailed, "the scratch server did not load the copy: \(try await lastWords())",
                        hint: "The live server was not touched.")
                }
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
        if let far { return try await far.remove() }
        for _ in 0..<100 where await isAlive() { try await Task.sleep(for: .milliseconds(50)) }
        if let pid = processID(), await isAlive() { kill(pid, SIGKILL) }
        for _ in 0..<100 where await isAlive() { try await Task.sleep(for: .milliseconds(50)) }
    }

    /// Its files and its process, when they are not this host's.
    private var far: FarScratch? { identity.farDirectory.map { FarScratch(directory: $0, transport: transport) } }

    /// The process of the pid file, if it really works in this folder.
    private func processID() -> pid_t? {
        guard let text = FileManager.default.contents(atPath: directory + "/redis.pid"),
            let pid = pid_t(String(decoding: text, as: UTF8.self).filter(\.isNumber)), pid > 1
        else { return nil }
        // A process that is gone has no folder, and then it is not ours.
        let workplace = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")
        var (left, right) = (stat(), stat())
        guard let workplace, stat(workplace, &left) == 0, stat(directory, &right) == 0 else { return nil }
        return left.st_ino == right.st_ino && left.st_dev == right.st_dev ? pid : nil
    }

    private func isAlive() async -> Bool {
        if let far { return await far.isAlive() }
        guard let pid = processID() else { return false }
        return kill(pid, 0) == 0
    }

    private func lastWords() async throws -> String {
        let directory = directory
        let farLog = try await far?.log()
        return try await Blocking.run {
            let log =
                farLog.map { Data($0) } ?? FileManager.default.contents(atPath: directory + "/redis.log") ?? Data()
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
