// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc
import Synchronization
import Transports

/// A MariaDB server in a temporary folder, on 127.0.0.1 and a free port, gone with the value and with the test process.
/// Debian's `mariadb-server`, started by hand as an unprivileged user.
public final class ThrowawayMariaDB: Sendable {
    /// The password of the superuser `root`.
    public static let password = "throw-away-secret"

    public let port: Int
    /// Holds the socket, the log and the data.
    public let folder: String
    private let process: Process
    private let lifeline: Mutex<FileHandle?>

    private init(port: Int, folder: String, process: Process, lifeline: FileHandle) {
        self.port = port
        self.folder = folder
        self.process = process
        self.lifeline = Mutex(lifeline)
    }

    deinit { release() }

    /// Starts a server with a binary log.
    ///
    /// - Parameter options: for `mariadbd`, after those for a quick and quiet test server.
    public static func start(_ options: [String] = []) async throws -> ThrowawayMariaDB {
        let template = try await Template.shared.path()
        var problem: any Error = Failure(.programFailed, "no attempt")
        // A port that was free a moment ago may be taken by the time the server binds it.
        for _ in 0..<3 {
            do { return try await attempt(template, options) } catch { problem = error }
        }
        throw problem
    }

    /// Ends the server at once, as a power cut would, and waits until it is gone.
    public func kill() throws {
        let text = try String(contentsOfFile: "\(folder)/pid", encoding: .utf8)
        if let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)) { _ = Glibc.kill(pid, SIGKILL) }
    }

    /// Stops the server and waits until it is gone with its folder.
    public func stop() async throws {
        release()
        try await Blocking.run { [process, folder] in
            process.waitUntilExit()
            // Whoever killed the server left its folder.
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    private func release() {
        lifeline.withLock { handle in
            // Closing a pipe loses nothing.
            try? handle?.close()
            handle = nil
        }
    }

    /// Runs SQL as the superuser and gives what it prints, without column names and the last newline.
    @discardableResult
    public func sql(_ script: String, database: String? = nil) async throws -> String {
        let arguments =
            [
                "--no-defaults", "--socket=\(folder)/s", "--user=root", "--batch", "--skip-column-names",
                "--comments", "--default-character-set=utf8mb4",
            ] + (database.map { [$0] } ?? [])
        let program = Program("mariadb", arguments, environment: ["MYSQL_PWD": Self.password, "LC_ALL": "C"])
        let bytes = try await LocalTransport().output(of: program, input: Array((script + "\n").utf8))
        let text = String(decoding: bytes, as: UTF8.self)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    // MARK: - Starting

    private static func attempt(_ template: String, _ options: [String]) async throws -> ThrowawayMariaDB {
        let folder = "/tmp/salvor-my-\(UUID().uuidString.prefix(8).lowercased())"
        try makeFolder(folder)
        _ = try await LocalTransport().output(of: Program("cp", ["-a", template, "\(folder)/data"]))
        // Servers that share one remove each other's temporary tables when they start.
        try makeFolder("\(folder)/tmp")
        let port = try ThrowawayRedis.freePort()
        let server = unprivileged(
            "mariadbd",
            [
                "--no-defaults", "--datadir=\(folder)/data", "--bind-address=127.0.0.1", "--port=\(port)",
                "--socket=\(folder)/s", "--pid-file=\(folder)/pid", "--tmpdir=\(folder)/tmp", "--server-id=1",
                "--log-bin=bin",
                "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0",
                "--skip-name-resolve", "--max-allowed-packet=64M", "--character-set-server=utf8mb4",
            ] + options)
        let (process, lifeline) = try TestTool.launch(
            server.name, server.arguments, log: "\(folder)/log", removing: folder)
        let started = ThrowawayMariaDB(port: port, folder: folder, process: process, lifeline: lifeline)
        try await started.waitUntilReady()
        return started
    }

    private func waitUntilReady() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            // Until the server listens every attempt fails; the deadline tells when that is an error.
            if let found = try? await sql("SELECT @@datadir"), found.hasPrefix("\(folder)/data") { return }
            guard process.isRunning, ContinuousClock.now < deadline else {
                // For the message only.
                let log = (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? ""
                throw Failure(.programFailed, "MariaDB does not start: \(log.suffix(800))")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    fileprivate static func makeFolder(_ folder: String) throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
        guard geteuid() == 0, let nobody = getpwnam("nobody")?.pointee else { return }
        _ = chown(folder, nobody.pw_uid, nobody.pw_gid)
    }

    /// A server that runs as root asks for trouble, and the data belongs to who runs it.
    fileprivate static func unprivileged(_ program: String, _ arguments: [String]) -> Program {
        let path = ["/usr/sbin", "/usr/bin"].map { "\($0)/\(program)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
        guard geteuid() == 0 else { return Program(path ?? program, arguments) }
        return Program(
            "setpriv", ["--reuid=nobody", "--regid=nogroup", "--clear-groups", path ?? program] + arguments,
            environment: ["HOME": "/"])
    }

    /// An empty data folder, made once for a test process: that takes seconds.
    private actor Template {
        static let shared = Template()
        private var made: Task<String, any Error>?
        private var keeper: Keeper?

        func path() async throws -> String {
            if let made { return try await made.value }
            let folder = "/tmp/salvor-my-\(UUID().uuidString.prefix(8).lowercased())"
            try ThrowawayMariaDB.makeFolder(folder)
            keeper = try Keeper(folder: folder, nil)
            // That of the environment may be closed to the server's account.
            try ThrowawayMariaDB.makeFolder("\(folder)/tmp")
            let task = Task {
                let install = ThrowawayMariaDB.unprivileged(
                    "mariadb-install-db",
                    [
                        "--no-defaults", "--datadir=\(folder)/data", "--auth-root-authentication-method=normal",
                        "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=4M", "--tmpdir=\(folder)/tmp",
                    ])
                _ = try await LocalTransport().output(of: install)
                let boot = ThrowawayMariaDB.unprivileged(
                    "mariadbd",
                    [
                        "--no-defaults", "--datadir=\(folder)/data", "--bootstrap", "--innodb-log-file-size=4M",
                        "--tmpdir=\(folder)/tmp",
                    ])
                let script = """
                    FLUSH PRIVILEGES;
                    ALTER USER root@localhost IDENTIFIED BY '\(ThrowawayMariaDB.password)';
                    CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '\(ThrowawayMariaDB.password)';
                    GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;

                    """
                _ = try await LocalTransport().output(of: boot, input: Array(script.utf8))
                return "\(folder)/data"
            }
            made = task
            return try await task.value
        }
    }
}
