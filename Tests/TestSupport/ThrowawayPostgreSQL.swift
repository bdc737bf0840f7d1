// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Foundation
import Glibc
import Synchronization
import Transports

/// A PostgreSQL server in a temporary folder, on 127.0.0.1 and a free port. It is stopped and its folder removed by
/// `stop`, when the value goes away, and when the test process ends in whatever way: a shell waits on a pipe from here
/// and cleans up when the pipe closes.
///
/// Majors other than the distribution's are installed by `scripts/install-test-postgresql`.
public final class ThrowawayPostgreSQL: Sendable {
    /// The password of the superuser `postgres` over TCP.
    public static let password = "throw-away-secret"

    public let major: Int
    public let port: Int
    /// Holds the socket, the server's log and its data; readable to everybody, unlike the data.
    public let folder: String
    /// The folder of the server's own client programs.
    public let binaries: String
    private let keeper: Keeper

    private init(major: Int, port: Int, folder: String, binaries: String, keeper: Keeper) {
        self.major = major
        self.port = port
        self.folder = folder
        self.binaries = binaries
        self.keeper = keeper
    }

    deinit { keeper.release() }

    /// Starts a server with an empty cluster.
    ///
    /// - Parameter initArguments: for `initdb`, such as `--locale-provider=icu`.
    public static func start(major: Int = 15, _ initArguments: [String] = []) async throws -> ThrowawayPostgreSQL {
        let binaries = try await PostgreSQLBinaries.shared.folder(major)
        var problem: any Error = Failure(.programFailed, "no attempt")
        // A port that was free a moment ago may be taken by the time the server binds it.
        for _ in 0..<3 {
            do { return try await attempt(major, binaries, initArguments) } catch { problem = error }
        }
        throw problem
    }

    /// Stops the server and waits until it is gone.
    public func stop() async throws {
        keeper.release()
        try await Blocking.run { [keeper] in keeper.wait() }
    }

    /// Runs SQL as the superuser through psql and gives what it prints, unaligned, without the last newline.
    @discardableResult
    public func sql(_ script: String, database: String = "postgres") async throws -> String {
        let program = client("psql", database, ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
        let bytes = try await LocalTransport().output(of: program, input: Array((script + "\n").utf8))
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    /// A client program of the server's own version as the superuser; the database is given in the environment, where any
    /// name means itself.
    public func client(_ name: String, _ database: String, _ arguments: [String]) -> Program {
        Program(
            "\(binaries)/\(name)", ["--host=\(folder)", "--port=\(port)", "--username=postgres"] + arguments,
            environment: ["PGDATABASE": database, "LC_ALL": "C"])
    }

    /// The plain dump of a database without what differs from dump to dump, for comparing databases.
    public func dump(_ database: String, _ arguments: [String] = []) async throws -> String {
        let bytes = try await LocalTransport().output(of: client("pg_dump", database, arguments))
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("\\restrict ") && !$0.hasPrefix("\\unrestrict ") }.joined(separator: "\n")
    }

    // MARK: - Starting

    private static func attempt(
        _ major: Int, _ binaries: String, _ initArguments: [String]
    ) async throws -> ThrowawayPostgreSQL {
        let folder = "/tmp/salvor-pg-\(UUID().uuidString.prefix(8).lowercased())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
        let isRoot = geteuid() == 0
        if isRoot { _ = chown(folder, Account.nobody, Account.nogroup) }
        let port = try freePort()
        let keeper: Keeper
        do {
            let secret = "\(folder)/password"
            try Data(password.utf8).write(to: URL(fileURLWithPath: secret))
            let initdb = unprivileged(
                "\(binaries)/initdb",
                [
                    "-D", "\(folder)/data", "-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256",
                    "--pwfile=\(secret)", "--no-locale", "-E", "UTF8", "-N",
                ] + initArguments)
            _ = try await LocalTransport().output(of: initdb)
            let settings = [
                "listen_addresses=127.0.0.1", "port=\(port)", "unix_socket_directories=\(folder)", "fsync=off",
                "max_connections=40", "shared_buffers=16MB", "max_prepared_transactions=5", "wal_level=logical",
                "autovacuum=off",
            ].flatMap { ["-c", $0] }
            keeper = try Keeper(
                folder: folder, unprivileged("\(binaries)/postgres", ["-D", "\(folder)/data"] + settings))
        } catch {
            // The first error is what matters.
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
        let server = ThrowawayPostgreSQL(major: major, port: port, folder: folder, binaries: binaries, keeper: keeper)
        try await server.waitUntilReady()
        return server
    }

    private func waitUntilReady() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            // Until the server listens every attempt fails; the deadline tells when that is an error.
            if let found = try? await sql("SHOW data_directory"), found == "\(folder)/data" { return }
            guard keeper.isRunning, ContinuousClock.now < deadline else {
                // For the message only.
                let log = (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? ""
                throw Failure(.programFailed, "PostgreSQL \(major) does not start: \(log.suffix(500))")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// PostgreSQL refuses to run as root.
    private static func unprivileged(_ program: String, _ arguments: [String]) -> Program {
        guard geteuid() == 0 else { return Program(program, arguments) }
        return Program(
            "setpriv", ["--reuid=nobody", "--regid=nogroup", "--clear-groups", program] + arguments,
            environment: ["HOME": "/"])
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(.localInput, "unable to make a socket") }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) + getsockname(descriptor, $0, &size)
            }
        }
        guard status == 0 else { throw Failure(.localInput, "unable to bind a port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
