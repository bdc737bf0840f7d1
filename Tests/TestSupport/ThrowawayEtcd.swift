// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc
import Synchronization
import Transports

/// One etcd member in a folder of its own on 127.0.0.1, gone with the value and with the test process.
public final class ThrowawayEtcd: Sendable {
    public let clientPort: Int
    public let peerPort: Int
    public let folder: String
    private let scheme: String
    private let options: [String]
    private let running = Mutex<(process: Process, lifeline: FileHandle)?>(nil)
    /// Removes the folder at the end, which outlives each of the server's runs.
    private let keeper: Keeper

    public var endpoint: String { "\(scheme)://127.0.0.1:\(clientPort)" }
    public var data: String { "\(folder)/data" }

    /// Starts a member of a cluster of one.
    ///
    /// - Parameter options: for `etcd`, such as `--cert-file`.
    public init(scheme: String = "http", _ options: [String] = []) async throws {
        folder = "/tmp/salvor-etcd-test-\(UUID().uuidString.prefix(8).lowercased())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        keeper = try Keeper(folder: folder, nil)
        clientPort = try ThrowawayRedis.freePort()
        peerPort = try ThrowawayRedis.freePort()
        self.scheme = scheme
        self.options = options
        try await start()
    }

    deinit { release() }

    /// The server's command line.
    public var arguments: [String] {
        [
            "--name=one", "--data-dir=\(data)", "--listen-client-urls=\(endpoint)",
            "--advertise-client-urls=\(endpoint)", "--listen-peer-urls=http://127.0.0.1:\(peerPort)",
            "--initial-advertise-peer-urls=http://127.0.0.1:\(peerPort)",
            "--initial-cluster=one=http://127.0.0.1:\(peerPort)",
        ] + options
    }

    public func start() async throws {
        try launch()
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            // Its log tells that this very member is ready.
            let log = (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? ""  // not there at first
            if log.contains("ready to serve client requests") || log.contains("serving insecure client requests")
                || log.contains("serving client requests on")
            {
                return
            }
            guard ContinuousClock.now < deadline, running.withLock({ $0?.process.isRunning }) == true else {
                throw Failure(.programFailed, "etcd does not start: \(log.suffix(800))")
            }
            try await Task.sleep(for: .milliseconds(30))
        }
    }

    private func launch() throws {
        let none = "\(folder)/nothing"
        try? FileManager.default.removeItem(atPath: "\(folder)/log")  // of the run before
        let started = try TestTool.launch("/usr/bin/etcd", arguments, log: "\(folder)/log", removing: none)
        running.withLock { $0 = started }
    }

    /// Stops the member and waits until it is gone.
    public func stop() async throws {
        let process = release()
        try await Blocking.run { process?.waitUntilExit() }
    }

    @discardableResult
    private func release() -> Process? {
        running.withLock { running in
            // Closing a pipe loses nothing.
            try? running?.lifeline.close()
            defer { running = nil }
            return running?.process
        }
    }

    /// Runs `etcdctl` and gives what it prints.
    @discardableResult
    public func ctl(_ arguments: [String], environment: [String: String] = [:]) async throws -> String {
        let program = Program(
            "etcdctl", arguments,
            environment: ["ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": endpoint].merging(environment) { $1 })
        return String(decoding: try await LocalTransport().output(of: program), as: UTF8.self)
    }
}
