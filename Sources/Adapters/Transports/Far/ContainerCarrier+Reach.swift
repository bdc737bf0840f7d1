// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc
import Programs
import SystemPackage

extension ContainerCarrier {
    /// What the engine tells of a running container.
    private struct Inspected: Sendable {
        var id: String
        var isRunning: Bool
        var processID: Int32?
        var usesHostNetwork: Bool
        var addresses: [String]

        /// nil when it is something else.
        init?(_ value: JSONValue) {
            guard let id = value["Id"]?.string, id.utf8.count >= 12, let state = value["State"] else { return nil }
            self.id = id
            isRunning = state["Running"]?.bool != false
            processID = state["Pid"]?.integer.flatMap { Int32(exactly: $0) }
            usesHostNetwork = value["HostConfig"]?["NetworkMode"]?.string == "host"
            let network = value["NetworkSettings"]
            var found = [network?["IPAddress"]?.string]
            if case .object(let networks)? = network?["Networks"] {
                found += networks.sorted { $0.key < $1.key }.map { $0.value["IPAddress"]?.string }
            }
            addresses = found.compactMap { $0 }.filter { !$0.isEmpty }
        }
    }

    /// Connects in the container's own network, when its processes are this host's and Salvor may; otherwise to the
    /// container's address, where a server listens that is not bound to its loopback alone.
    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        let text = try await asked(client(["inspect", "--type", "container", try await container()]))
        let list: [JSONValue]
        do { list = try JSONDecoder().decode([JSONValue].self, from: Data(text.utf8)) } catch { list = [] }
        guard let container = list.first.flatMap(Inspected.init) else {
            throw Failure(
                .sourceUnreachable, "\(description): '\(engine) inspect' printed something else than expected")
        }
        guard container.isRunning else {
            throw Failure(
                .sourceUnreachable, "\(description): the container is not running",
                hint: "Start it with '\(engine) start', or correct 'transport' in the plan.")
        }
        if container.usesHostNetwork, !host.hasPrefix("/") {
            return try await Blocking.run {
                try SocketConnection.open(host: host, port: port, timeoutSeconds: timeoutSeconds)
            }
        }
        if let pid = container.processID, Self.isProcess(pid, of: container.id) {
            do {
                // Both calls change the thread, which ends with the closure.
                return try await Blocking.run {
                    if host.hasPrefix("/") {
                        try ProcessSurroundings.enterRoot(of: pid)
                    } else {
                        try ProcessSurroundings.enterNetwork(of: pid)
                    }
                    return try SocketConnection.open(host: host, port: port, timeoutSeconds: timeoutSeconds)
                }
            } catch is Errno {
                // No right to: the address is tried.
            }
        }
        return try await connect(toAddressOf: container, host, port, timeoutSeconds)
    }

    private func connect(
        toAddressOf container: Inspected, _ host: String, _ port: Int, _ timeoutSeconds: Int
    ) async throws -> Int32 {
        let isItself = ["localhost", "127.0.0.1", "::1", "0.0.0.0"].contains(host)
        let addresses = isItself ? container.addresses : [host]
        guard let address = addresses.first, !host.hasPrefix("/") else {
            throw Failure(
                .sourceUnreachable, "\(description): '\(host)' inside the container cannot be reached from here",
                hint: "Run salvor as root on the engine's host, or give the container a network.")
        }
        do {
            return try await Blocking.run {
                try SocketConnection.open(host: address, port: port, timeoutSeconds: timeoutSeconds)
            }
        } catch let failure as Failure {
            throw Failure(
                failure.code, "\(description): \(failure.summary)",
                hint: "A server that listens on its container's loopback only is reached as root on the engine's host.")
        }
    }

    /// Whether process `pid` of this host belongs to the container: the engine may be on another one.
    private static func isProcess(_ pid: Int32, of id: String) -> Bool {
        guard pid > 1, let groups = FileManager.default.contents(atPath: "/proc/\(pid)/cgroup") else { return false }
        return String(decoding: groups, as: UTF8.self).contains(id)
    }
}
