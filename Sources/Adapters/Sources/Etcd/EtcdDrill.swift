// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import DataFolders
import Domain
import Glibc

extension EtcdAdapter: DrillingAdapter {
    /// A member of the folder's own, a cluster of one, on a Unix socket there. It starts when the copy is promoted, and ends
    /// with the body or with salvor.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        let program = try await Self.server(settings, environment.transport)
        // Its sockets are in the folder, and nobody else gets in there.
        guard chmod(folder, 0o700) == 0 else { throw Failure(.localInput, "unable to close '\(folder)' to others") }
        let settings = ScratchMember.settings(in: folder, like: settings)
        let environment = environment
        return try await ScratchServing.during(environment.transport) { serving in
            var adapter = EtcdAdapter(settings: settings, environment: environment)
            adapter.scratch = ScratchMember(folder: folder, program: program, serving: serving)
            return try await body(adapter)
        }
    }

    /// - Throws: `Failure(.programMissing)`: without a member the keys would not be counted.
    private static func server(_ settings: EtcdSettings, _ transport: any Transport) async throws -> String {
        let path = settings.programs.map { "\($0)/etcd" } ?? "etcd"
        do {
            _ = try await transport.outputAndExit(of: Program(path, ["--version"]), limit: 64 << 10)
            return path
        } catch let failure as Failure where failure.code == .programMissing {
            throw Failure(
                .programMissing, "this host has no etcd to drill with ('\(path)')",
                hint:
                    "Install etcd beside etcdctl, name their folder in 'programs', or hold the drill on a host that has it."
            )
        }
    }

    /// Starts a drill's member on the promoted copy; nil: the member is the host's.
    var launch: (@Sendable () async throws -> Void)? {
        guard let scratch else { return nil }
        let adapter = self
        return {
            let tools = try await adapter.tools()
            try await scratch.serving.start(scratch.command, named: scratch.program) {
                try await Self.wait(for: ScratchMember.name, tools)
            }
        }
    }

    func places(of restore: SourceRestore) -> [String: String] {
        [
            "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": settings.endpoint,
            // Those of the live member would not do here.
            "ETCDCTL_CACERT": "", "ETCDCTL_CERT": "", "ETCDCTL_KEY": "",
        ]
    }
}

/// The member of a drill.
struct ScratchMember: Sendable {
    static let name = "salvor-drill"
    /// Who the restored cluster's only member says it is; nobody ever calls it.
    private static let peer = "http://127.0.0.1:2380"
    /// A Unix socket as a member listens at it: a file of that name in the folder it is started in, because old versions
    /// take nothing without a colon.
    private static let client = "localhost:2379"
    private static let others = "localhost:2380"

    let folder: String
    let program: String
    let serving: ScratchServing

    /// Settings that lead to the member and are otherwise those of the plan, its user among them: a snapshot has the accounts
    /// of its cluster.
    static func settings(in folder: String, like live: EtcdSettings) -> EtcdSettings {
        var settings = live
        (settings.host, settings.port) = ("\(folder)/\(client)", 0)
        settings.endpoint = "unix://\(folder)/\(client)"
        (settings.authorityFile, settings.certificateFile, settings.keyFile) = (nil, nil, nil)
        settings.dataDirectory = "\(folder)/data"
        (settings.name, settings.initialCluster, settings.peerURLs) = (name, "\(name)=\(peer)", [peer])
        (settings.bumpRevision, settings.stop, settings.start) = (nil, nil, nil)
        return settings
    }

    var command: Program {
        Program(
            "env",
            [
                "--chdir=\(folder)", program, "--name=\(Self.name)", "--data-dir=\(folder)/data",
                "--listen-client-urls=unix://\(Self.client)", "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=unix://\(Self.others)", "--initial-advertise-peer-urls=\(Self.peer)",
                "--initial-cluster=\(Self.name)=\(Self.peer)",
            ])
    }
}
