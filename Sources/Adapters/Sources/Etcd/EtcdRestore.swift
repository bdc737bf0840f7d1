// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import DataFolders
import Domain
import Glibc

extension EtcdAdapter {
    private var folder: FolderRestore {
        FolderRestore(
            source: environment.source.name, target: settings.dataDirectory, stop: settings.stop, start: settings.start,
            transport: environment.transport, launch: launch, isAnswering: isAnswering)
    }

    private static func file(_ place: RestorePlace) -> String { place.scratchDirectory + "/snapshot.db" }

    /// How the member that is restored will be known.
    private func identity(_ record: EtcdRecord) throws -> (name: String, cluster: String, peers: String) {
        guard let name = settings.name ?? record.member?.name, !name.isEmpty,
            let peers = settings.peerURLs ?? record.member?.peerURLs, !peers.isEmpty
        else {
            throw Failure(
                .restoreBlocked, "the bundle does not name the member it was taken from",
                hint: "Set 'restore.name', 'restore.peer-urls' and 'restore.initial-cluster'.")
        }
        let cluster = record.members.flatMap { member in member.peerURLs.map { "\(member.name)=\($0)" } }
        return (name, settings.initialCluster ?? cluster.joined(separator: ","), peers.joined(separator: ","))
    }

    private func restoreProgram(
        _ program: String, _ file: String, into folder: String,
        _ identity: (name: String, cluster: String, peers: String),
        token: String, bumps: Bool
    ) -> Program {
        var words = [
            "snapshot", "restore", file, "--data-dir=\(folder)", "--name=\(identity.name)",
            "--initial-cluster=\(identity.cluster)", "--initial-advertise-peer-urls=\(identity.peers)",
            "--initial-cluster-token=\(token)",
        ]
        if bumps, let bump = settings.bumpRevision { words += ["--bump-revision=\(bump)", "--mark-compacted"] }
        return Program(program, words, environment: ["ETCDCTL_API": "3"])
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let record = try EtcdRecord(restore.contents.restoreData)
        let tools = try await tools()
        var plan = SourceRestorePlan(
            target: settings.dataDirectory.map { "'\($0)'" } ?? "a folder for a member",
            origin: "etcd \(record.version), cluster \(record.clusterID), revision \(record.revision)")
        let stream = try restore.stream(Self.stream)
        // The snapshot, the copy that is tried and the one that stays.
        plan.bytesNeeded = stream.receipt.length
        if !restore.include.isEmpty {
            plan.blockers.append("a snapshot is restored as a whole: '--include' selects nothing in it")
        }
        if restore.rename != nil { plan.blockers.append("set 'restore.data-directory' instead of '--rename'") }
        // In a drill there is no member before there are data.
        if scratch == nil { try await compare(record, with: tools, &plan) }
        do {
            let program = try await tools.fileProgram()
            let identity = try identity(record)
            plan.steps += [
                .init(
                    "stage", "restore the snapshot as member '\(identity.name)'",
                    command: restoreProgram(
                        program, Self.file(restore.place), into: folder.stagedPath(restore.place), identity,
                        token: Self.token(restore.place), bumps: true
                    ).commandLine),
                .init("verify", "start a throw-away member on a second copy, count and hash its keys"),
            ]
        } catch let failure as Failure { plan.blockers.append(failure.summary) }
        if record.members.count > 1 {
            plan.warnings.append(
                "the cluster had \(record.members.count) members: stop all of them, and restore the same bundle for each one "
                    + "with its own 'restore.name' and 'peer-urls' before any is started")
        }
        if settings.bumpRevision == nil {
            plan.warnings.append(
                "revisions go back to \(record.revision): restart whoever watches (Kubernetes: set 'bump-revision')")
        }
        folder.describe(restore.place, in: &plan)
        return plan
    }

    /// The live cluster against the bundle's.
    private func compare(
        _ record: EtcdRecord, with tools: EtcdTools, _ plan: inout SourceRestorePlan
    ) async throws {
        do {
            let status = try await tools.status()
            let id = String(status.header.cluster, radix: 16)
            plan.target += ", now etcd \(status.version), cluster \(id)"
            if id != record.clusterID {
                plan.warnings.append("the running cluster is not the one the bundle was taken from")
            }
            let (mine, theirs) = (Self.series(status.version), Self.series(record.version))
            if mine.lexicographicallyPrecedes(theirs) {
                plan.blockers.append(
                    "the target runs etcd \(status.version), older than the bundle's \(record.version)")
            }
        } catch let failure as Failure where failure.code == .sourceUnreachable {
            plan.warnings.append("no member answers at \(settings.endpoint): it cannot be compared with the bundle's")
        }
    }

    private static func series(_ version: String) -> [Int] {
        version.split(separator: ".").prefix(2).compactMap { Int($0) }
    }

    private static func token(_ place: RestorePlace) -> String { "salvor-\(place.restoreID)" }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let plan = try await planRestore(restore)
        guard plan.blockers.isEmpty else {
            throw Failure(.restoreBlocked, "the restore is not possible: \(plan.blockers.joined(separator: "; "))")
        }
        let record = try EtcdRecord(restore.contents.restoreData)
        let tools = try await tools()
        let program = try await tools.fileProgram()
        let file = Self.file(restore.place)
        let stream = try restore.stream(Self.stream)
        let trailer = SnapshotTrailer()
        let output = try await Blocking.run { try SnapshotFile(file) }
        try await stream.read(nil) {
            trailer.take($0)
            try output.write($0)
        }
        try trailer.check(file)
        try await Blocking.run { try output.finish() }
        let identity = try identity(record)
        try await folder.stage(restore.place, journal: journal) { path in
            let program = restoreProgram(
                program, file, into: path, identity, token: Self.token(restore.place), bumps: true)
            let (_, exit) = try await environment.transport.outputAndExit(of: program)
            guard exit.isSuccess else {
                throw Failure(
                    .restoreFailed, "\(program.name) snapshot restore failed (\(exit.status)): \(exit.lastWords)")
            }
        }
    }

    // MARK: - Verify

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        _ = try await folder.staged(restore.place, journal: journal)
        let record = try EtcdRecord(restore.contents.restoreData)
        let tools = try await tools()
        let program = try await tools.fileProgram()
        let file = Self.file(restore.place)
        let snapshot = try await tools.snapshot(file, with: program)
        var found = Facts([
            "revision": .count(snapshot.revision), "snapshot entries": .count(snapshot.totalKey),
        ])
        var recorded = restore.contents.facts
        do {
            let (keys, hash) = try await counted(file, program, record, restore.place, tools)
            if recorded["keys"] != nil { found["keys"] = .count(keys) }
            if recorded["hash of keys and values"] != nil { found["hash of keys and values"] = .text(hash) }
        } catch let failure as Failure where failure.code == .programMissing {
            await journal.note("no throw-away member was started, so keys were not counted: \(failure.summary)")
            for name in ["keys", "hash of keys and values"] { recorded[name] = nil }
        }
        return recorded.compared(with: found)
    }

    /// Starts a member on a copy of its own, which its start changes, and asks it.
    private func counted(
        _ file: String, _ program: String, _ record: EtcdRecord, _ place: RestorePlace, _ tools: EtcdTools
    ) async throws -> (keys: Int64, hash: String) {
        let data = place.scratchDirectory + "/verify"
        let transport = environment.transport
        let name = "salvor-verify-\(place.restoreID)"
        var problem: (any Error)?
        for _ in 0..<3 {
            let ports = try await Blocking.run {
                try FolderExchange.remove(data)
                return try FreePort.find(2)
            }
            let peer = "http://127.0.0.1:\(ports[1])"
            let made = restoreProgram(
                program, file, into: data, (name, "\(name)=\(peer)", peer), token: name, bumps: false)
            let (_, exit) = try await transport.outputAndExit(of: made)
            guard exit.isSuccess else {
                throw Failure(.verifyFailed, "\(program) snapshot restore failed (\(exit.status)): \(exit.lastWords)")
            }
            var scratch = tools
            let endpoint = "http://127.0.0.1:\(ports[0])"
            scratch.scratchEndpoint = endpoint
            let member = Program(
                tools.path("etcd"),
                [
                    "--name=\(name)", "--data-dir=\(data)", "--listen-client-urls=\(endpoint)",
                    "--advertise-client-urls=\(endpoint)", "--listen-peer-urls=\(peer)",
                    "--initial-advertise-peer-urls=\(peer)", "--initial-cluster=\(name)=\(peer)",
                    "--initial-cluster-token=\(name)",
                ])
            do {
                let asked = scratch
                let result = try await ScratchProgram.run(member, transport) {
                    try await Self.wait(for: name, asked)
                    return (try await asked.keys(at: record.revision), try await asked.hash(at: record.revision))
                }
                try await Blocking.run { try FolderExchange.remove(data) }
                return result
            } catch let failure as Failure where failure.summary.contains("address already in use") {
                problem = failure  // somebody took the port in between
            }
        }
        throw problem ?? Failure(.verifyFailed, "no port for a throw-away member")
    }

    /// Waits until this very member answers.
    static func wait(for name: String, _ tools: EtcdTools) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do {
                if try await tools.members().contains(where: { $0.name == name }) { return }
            } catch let failure as Failure where failure.code == .sourceUnreachable && ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    // MARK: - Ending

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let tools = try await tools()
        let recorded = restore.contents.facts["keys"]
        try await folder.promote(restore.place, journal: journal) {
            let revision = try await tools.status().header.revision ?? 0
            let keys = try await tools.keys(at: 0)
            if let recorded, case .count(let count) = recorded, keys < count {
                throw Failure(
                    .restoreFailed,
                    "the restored member has \(keys) keys at revision \(revision), \(count) were captured")
            }
        }
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await folder.rollBack(place, journal: journal)
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await folder.abandon(place, journal: journal)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await folder.settle(place, journal: journal)
    }
}

/// A new file only its owner can read. Calls block.
final class SnapshotFile: Sendable {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        unlink(path)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("create", path) }
    }

    deinit { close(descriptor) }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("write", path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    func finish() throws {
        guard fsync(descriptor) == 0 else { throw Self.failure("sync", path) }
    }

    private static func failure(_ verb: String, _ path: String) -> Failure {
        let code: Failure.Code = errno == ENOSPC || errno == EDQUOT ? .localSpace : .localInput
        return Failure(code, "unable to \(verb) '\(path)': \(String(cString: strerror(errno)))")
    }
}
