// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization

/// A Redis or Valkey server in a folder of its own on 127.0.0.1, gone with the value.
public final class ThrowawayRedis: Sendable {
    /// Which server; the last two come from `scripts/install-test-redis`.
    public enum Flavour: String, Sendable, CaseIterable {
        case redis7
        case redis62
        case valkey8

        /// The server's program.
        public var program: String {
            let environment = ProcessInfo.processInfo.environment
            let cache = environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "") + "/.cache"
            return switch self {
            case .redis7: "/usr/bin/redis-server"
            case .redis62: cache + "/salvor-tests/redis/redis62/redis-server"
            case .valkey8: cache + "/salvor-tests/redis/valkey8/valkey-server"
            }
        }
    }

    /// Why a server did not start.
    public struct NotStarted: Error, CustomStringConvertible {
        public var description: String
    }

    public let port: Int
    public let password: String?
    private let certificates: TestCertificates?
    private let folder: TemporaryDirectory
    private let program: String
    private let process = Mutex<Process?>(nil)

    /// The server's data folder.
    public var directory: String { folder.path }

    /// Starts a server.
    ///
    /// - Parameters:
    ///   - certificates: TLS is spoken with these, and nothing else, towards masters as well.
    ///   - options: lines of redis.conf, after (and overriding) those for a quick and quiet test server.
    public init(
        _ flavour: Flavour = .redis7, password: String? = nil, certificates: TestCertificates? = nil,
        options: [String] = []
    ) throws {
        self.certificates = certificates
        program = flavour.program
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw NotStarted(description: "\(program) is missing: run scripts/install-test-redis")
        }
        self.password = password
        folder = try TemporaryDirectory("redis")
        port = try Self.freePort()
        var lines = [
            "bind 127.0.0.1", "port \(port)", "dir \(folder.path)", "logfile \(folder.path)/redis.log",
            "save \"\"", "appendonly no", "repl-diskless-sync-delay 0",
        ]
        if let password { lines.append("requirepass \(password)") }
        if let certificates {
            lines += [
                "port 0", "tls-port \(port)", "tls-cert-file \(certificates.certificateFile)",
                "tls-key-file \(certificates.keyFile)", "tls-ca-cert-file \(certificates.caFile)",
                "tls-auth-clients no", "tls-replication yes",
            ]
        }
        try folder.write("redis.conf", (lines + options).joined(separator: "\n") + "\n")
        try start()
    }

    deinit {
        stop(SIGKILL)
    }

    /// Starts the server again with its configuration file; waits until it has loaded its data.
    public func start() throws {
        let log = folder("redis.log")
        let before = FileManager.default.contents(atPath: log)?.count ?? 0
        let server = Process()
        server.executableURL = URL(fileURLWithPath: program)
        server.arguments = [folder("redis.conf")]
        server.standardInput = FileHandle.nullDevice
        server.standardOutput = FileHandle.nullDevice
        server.standardError = FileHandle.nullDevice
        try server.start()
        process.withLock { $0 = server }
        // Its own log tells that this server is ready; something else might answer at the port.
        for _ in 0..<600 {
            let text = String(
                decoding: (FileManager.default.contents(atPath: log) ?? Data()).dropFirst(before), as: UTF8.self)
            if text.contains("eady to accept connections") { return }
            guard server.isRunning else { throw NotStarted(description: "the server ended: \(text.suffix(500))") }
            usleep(20_000)
        }
        throw NotStarted(description: "the server is not ready")
    }

    /// Ends the server: SIGTERM lets it save, SIGKILL does not.
    public func stop(_ signal: Int32 = 15) {
        process.withLock { process in
            guard let running = process else { return }
            kill(running.processIdentifier, signal)
            running.waitUntilExit()
            process = nil
        }
    }

    /// Runs `redis-cli` with these arguments and standard input, and gives what it prints, without the last newline.
    @discardableResult
    public func cli(_ arguments: String..., input: String? = nil) throws -> String {
        let client = Process()
        client.executableURL = URL(fileURLWithPath: "/usr/bin/redis-cli")
        client.arguments =
            ["-h", "127.0.0.1", "-p", String(port)]
            + (certificates.map { ["--tls", "--cacert", $0.caFile] } ?? []) + arguments
        var environment = ProcessInfo.processInfo.environment
        environment["REDISCLI_AUTH"] = password
        client.environment = environment
        let (output, source) = try client.start {
            let (output, source) = (Pipe(), Pipe())
            client.standardOutput = output
            client.standardError = output
            client.standardInput = input == nil ? FileHandle.nullDevice : source
            return (output, source)
        }
        if let input {
            try source.fileHandleForWriting.write(contentsOf: Data(input.utf8))
            try source.fileHandleForWriting.close()
        }
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        client.waitUntilExit()
        let text = String(decoding: data, as: UTF8.self)
        guard client.terminationStatus == 0 else { throw NotStarted(description: "redis-cli failed: \(text)") }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    /// A port of 127.0.0.1 that nobody has at this moment.
    public static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw NotStarted(description: "no socket") }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard status == 0 else { throw NotStarted(description: "no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
