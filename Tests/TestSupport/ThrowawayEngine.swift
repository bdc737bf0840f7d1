// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Glibc
import Synchronization
import Transports

/// A container engine of its own in a temporary folder: `dockerd`, or `podman` with storage of its own. Storage is `vfs`
/// and networks are off, so that it also runs where there is neither overlay nor iptables, such as in a container.
/// Everything is removed when the value goes away, or the test process ends.
public final class ThrowawayEngine: Sendable {
    /// Which one.
    public enum Kind: String, Sendable, CaseIterable {
        case docker
        case podman
    }

    public let kind: Kind
    /// What clients need in their environment.
    public let environment: [String: String]
    private let folder: String
    private let process: Process
    private let lifeline: FileHandle
    private let images = Mutex<Set<String>>([])
    private let containers = Mutex<[String]>([])

    /// Starts it.
    public static func start(_ kind: Kind) async throws -> ThrowawayEngine {
        // A short path: that of a Unix socket has 107 bytes.
        let folder = "/tmp/salvor-\(kind)-\(UUID().uuidString.prefix(6).lowercased())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        let engine = try ThrowawayEngine(kind, folder)
        for _ in 0..<300 {
            let (_, exit) = try await LocalTransport().outputAndExit(of: engine.client(["version"]))
            if exit.isSuccess { return engine }
            guard engine.process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(100))
        }
        let log = FileManager.default.contents(atPath: folder + "/log") ?? Data()
        throw Failure(
            .internalError,
            "\(kind) does not start here: \(String(decoding: log.suffix(2000), as: UTF8.self))",
            hint: "It needs root and the rights to mount; run scripts/install-test-containers.")
    }

    private init(_ kind: Kind, _ folder: String) throws {
        self.kind = kind
        self.folder = folder
        switch kind {
        case .docker:
            environment = ["DOCKER_HOST": "unix://\(folder)/d.sock", "DOCKER_CONFIG": folder]
            let dockerd = try TestTool.find("dockerd", variable: "SALVOR_TEST_DOCKERD")
            let (process, lifeline) = try TestTool.launch(
                dockerd,
                [
                    "--host", "unix://\(folder)/d.sock", "--data-root", "\(folder)/data", "--exec-root",
                    "\(folder)/exec", "--pidfile", "\(folder)/pid", "--storage-driver", "vfs", "--iptables=false",
                    "--ip6tables=false", "--bridge=none", "--exec-opt", "native.cgroupdriver=cgroupfs",
                    "--default-ulimit", "nofile=4096:4096", "--default-ulimit", "nproc=4096:4096",
                ], log: folder + "/log", removing: folder)
            (self.process, self.lifeline) = (process, lifeline)
        case .podman:
            // runc and cgroupfs: crun refuses hosts with both versions of cgroups. The limits are what a container without
            // CAP_SYS_RESOURCE may set.
            try Data(
                """
                [containers]
                default_ulimits=["nofile=4096:4096","nproc=4096:4096"]
                netns="none"
                log_driver="k8s-file"
                [engine]
                runtime="runc"
                cgroup_manager="cgroupfs"
                events_logger="file"
                tmp_dir="\(folder)/tmp"

                """.utf8
            ).write(to: URL(fileURLWithPath: folder + "/containers.conf"))
            try Data(
                "[storage]\ndriver=\"vfs\"\ngraphroot=\"\(folder)/graph\"\nrunroot=\"\(folder)/run\"\n".utf8
            ).write(to: URL(fileURLWithPath: folder + "/storage.conf"))
            let environment = [
                "CONTAINERS_CONF": folder + "/containers.conf", "CONTAINERS_STORAGE_CONF": folder + "/storage.conf",
                "XDG_RUNTIME_DIR": folder,
            ]
            self.environment = environment
            let podman = try TestTool.find("podman", variable: "SALVOR_TEST_PODMAN")
            let variables = environment.map { "\($0.key)=\($0.value)" }
            // Podman has no daemon: this one only waits, and then removes the containers.
            let (process, lifeline) = try TestTool.launch(
                "/usr/bin/env",
                variables + [
                    "/bin/sh", "-c",
                    "trap '\"$1\" rm --force --time 0 --all; exit' TERM; while :; do sleep 1 & wait; done", "sh",
                    podman,
                ], log: folder + "/log", removing: folder)
            (self.process, self.lifeline) = (process, lifeline)
        }
    }

    deinit {
        // While a test still can: the guard beside the server does not wait long.
        let names = containers.withLock { $0 }
        if !names.isEmpty {
            var words: [String] = environment.map { "\($0.key)=\($0.value)" }
            words += [kind.rawValue, "rm", "--force"]
            if kind == .podman { words += ["--time", "0"] }
            let client = Process()
            client.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            client.arguments = words + names
            client.standardOutput = FileHandle.nullDevice
            client.standardError = FileHandle.nullDevice
            // When it cannot be started, the rest is the guard's.
            if (try? client.start()) != nil { client.waitUntilExit() }
        }
        // The guard beside the server sees the end of its pipe and stops it.
        try? lifeline.close()
        process.waitUntilExit()
    }

    /// A command of the engine's client.
    public func client(_ arguments: [String]) -> Program {
        Program(kind.rawValue, arguments, environment: environment)
    }

    /// Runs a command of the engine's client.
    @discardableResult
    public func run(_ arguments: String...) async throws -> String {
        let bytes = try await LocalTransport().output(of: client(arguments))
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Starts a container that does nothing, of an image made of this host's programs.
    public func container(
        _ name: String, _ image: ContainerImage = .base, options: [String] = []
    ) async throws {
        let isNew = images.withLock { $0.insert(image.rawValue).inserted }
        if isNew {
            let tar = folder + "/\(image.rawValue).tar"
            try image.write(to: tar)
            try await run("import", tar, "salvor-test/\(image.rawValue):1")
            try FileManager.default.removeItem(atPath: tar)
        }
        containers.withLock { $0.append(name) }
        let network = kind == .docker ? ["--network", "none"] : []
        _ = try await LocalTransport().output(
            of: client(
                ["run", "--detach", "--name", name] + network + options + [
                    "salvor-test/\(image.rawValue):1", "/bin/sh", "-c",
                    "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done",
                ]))
    }

    /// The transport to a container.
    public func transport(_ container: String, user: String? = nil) -> any Transport {
        let settings = ContainerSettings(container: container, user: user)
        return TransportFactory.make(
            kind == .docker ? .docker(settings) : .podman(settings), environment: environment)
    }

    /// Ends a container at once: its first process is killed, and with it all others.
    ///
    /// - Parameter waits: until the engine knows; it may not while somebody holds the output of a program in it.
    public func kill(_ container: String, waits: Bool = true) async throws {
        guard let pid = Int32(try await run("inspect", "--format", "{{.State.Pid}}", container)), pid > 1 else {
            return
        }
        guard Glibc.kill(pid, SIGKILL) == 0, waits else { return }
        for _ in 0..<200 {
            if try await run("inspect", "--format", "{{.State.Running}}", container) == "false" { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failure(.internalError, "container \(container) does not end")
    }
}
