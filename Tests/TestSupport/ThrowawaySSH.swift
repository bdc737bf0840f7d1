// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Transports

/// An sshd of its own on a free port of 127.0.0.1, with a host key and a user key made for it; gone with the value.
public final class ThrowawaySSH: Sendable {
    public let port: Int
    public let folder: TemporaryDirectory
    private let process: Process
    private let lifeline: FileHandle

    /// The file with the host's key.
    public var knownHosts: String { folder("known_hosts") }
    /// The file with the user's private key.
    public var identity: String { folder("user") }

    /// Starts it.
    ///
    /// - Parameter options: lines of sshd_config.
    public static func start(options: [String] = []) async throws -> ThrowawaySSH {
        let server = try ThrowawaySSH(options)
        for _ in 0..<200 {
            let log = String(
                decoding: FileManager.default.contents(atPath: server.folder("log")) ?? Data(), as: UTF8.self)
            if log.contains("Server listening on 127.0.0.1 port \(server.port)") { return server }
            guard server.process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        let log = FileManager.default.contents(atPath: server.folder("log")) ?? Data()
        throw Failure(.internalError, "sshd does not start: \(String(decoding: log.suffix(1000), as: UTF8.self))")
    }

    private init(_ options: [String]) throws {
        folder = try TemporaryDirectory("ssh")
        port = try ThrowawayRedis.freePort()
        for key in ["host", "user"] {
            try ShortCommand.run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", key, "-f", folder(key)])
        }
        let host = try String(contentsOfFile: folder("host.pub"), encoding: .utf8)
        try folder.write("known_hosts", "[127.0.0.1]:\(port) \(host)")
        try folder.write("authorized_keys", try String(contentsOfFile: folder("user.pub"), encoding: .utf8))
        let lines = [
            "Port \(port)", "ListenAddress 127.0.0.1", "HostKey \(folder("host"))",
            "AuthorizedKeysFile \(folder("authorized_keys"))", "PidFile none", "StrictModes no",
            "PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", "PermitRootLogin yes",
        ]
        try folder.write("sshd_config", (lines + options).joined(separator: "\n") + "\n")
        // The folder of its privilege separation is made by Debian's service only.
        try FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
        (process, lifeline) = try TestTool.launch(
            "/usr/sbin/sshd", ["-D", "-e", "-f", folder("sshd_config")], log: folder("log"), removing: folder.path)
    }

    deinit {
        // The guard beside the server sees the end of its pipe and stops it.
        try? lifeline.close()
        process.waitUntilExit()
    }

    /// The transport to it.
    public func transport(knownHosts: String? = nil, identity: String? = nil) -> any Transport {
        TransportFactory.make(
            .ssh(
                SSHSettings(
                    host: "127.0.0.1", port: port, identity: identity ?? self.identity,
                    knownHosts: knownHosts ?? self.knownHosts)))
    }
}
