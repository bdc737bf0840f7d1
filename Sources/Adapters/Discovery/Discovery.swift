// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain

/// Looks for what a plan could protect on this host and in what it reaches. Only reads, connects to nothing, and looks at
/// nothing that holds secrets.
public struct Discovery: Sendable {
    private let transport: any Transport
    private let processRoot: String
    private let folders: [String]

    /// - Parameters:
    ///   - transport: this host.
    ///   - processRoot: where the kernel shows processes and sockets.
    ///   - folders: absolute paths of folders to look into.
    public init(transport: any Transport, processRoot: String = "/proc", folders: [String] = []) {
        self.transport = transport
        self.processRoot = processRoot
        self.folders = folders
    }

    /// What was found, and what could not be looked at.
    public struct Outcome: Sendable, Codable, Equatable {
        public var findings: [Finding]
        public var notes: [String]
    }

    public func run() async throws -> Outcome {
        let listings = ContainerListings(transport: transport)
        async let docker = listings.docker()
        async let podman = listings.podman()
        async let pods = listings.pods()
        let (root, folders) = (processRoot, folders)
        let own = try await Blocking.run {
            (ListeningSockets(root: root).findings(), FileHints(folders: folders).findings())
        }
        let answers = [await docker, await podman, await pods]
        var findings = own.0
        // The `docker` of some hosts is podman: what both list is one container.
        for finding in answers.flatMap(\.findings) where !isListed(finding, findings) { findings.append(finding) }
        return Outcome(findings: findings + own.1, notes: answers.compactMap(\.note))
    }

    private func isListed(_ finding: Finding, _ findings: [Finding]) -> Bool {
        findings.contains { other in
            if other == finding { return true }
            guard case .podman(let name) = finding.place, case .docker(name) = other.place else { return false }
            return true
        }
    }
}
