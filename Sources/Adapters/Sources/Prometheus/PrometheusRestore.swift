// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import DataFolders
import Domain
import Files
import Foundation
import Glibc
import Synchronization

extension PrometheusAdapter {
    /// Above this many samples a copy is not read sample by sample.
    private static let mostSamplesRead: Int64 = 5_000_000

    private func folder(_ target: String?) -> FolderRestore {
        let (transport, settings, isDrill) = (environment.transport, settings, scratch != nil)
        return FolderRestore(
            source: environment.source.name, target: target, stop: settings.stop, start: settings.start,
            transport: transport, launch: launch
        ) {
            // A drill's server runs only once it was started on the copy.
            guard !isDrill else { return false }
            // Refused and unreachable are the same here: nobody answers.
            guard
                let descriptor = try? await transport.connect(
                    host: settings.host, port: settings.port, timeoutSeconds: 2)
            else { return false }
            close(descriptor)
            return true
        }
    }

    /// Starts a drill's server on the copy; nil: the server is the host's.
    private var launch: (@Sendable () async throws -> Void)? {
        guard let scratch else { return nil }
        let adapter = self
        return {
            try await scratch.start { port in try await Self.waitForStorage(of: adapter.server(ofDrill: port)) }
        }
    }

    /// Where the copy is to go: the plan's folder, or the one the running server tells.
    private func target(_ journal: (any RestoreJournal)? = nil) async throws -> String? {
        if let path = settings.dataDirectory { return path }
        if let journal, let known = await journal.recorded["target"]?.string { return known }
        do { return try await dataDirectory(try await server()) } catch let failure as Failure
            where [.sourceUnreachable, .preflightRefused].contains(failure.code)
        { return nil }
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let target = try await target()
        let stream = try restore.stream(Self.stream)
        var plan = SourceRestorePlan(
            target: target.map { "'\($0)'" } ?? "a storage folder", origin: restore.contents.engine)
        plan.bytesNeeded = stream.receipt.length + (stream.base?.receipt.length ?? 0)
        if !restore.include.isEmpty {
            plan.blockers.append("blocks are restored as a whole: '--include' selects nothing in them")
        }
        if restore.rename != nil { plan.blockers.append("set 'data-directory' instead of '--rename'") }
        if scratch == nil {
            do {
                let server = try await server()
                let version = try await server.version()
                plan.target += ", now \(version)"
                if Self.series(version).lexicographicallyPrecedes(Self.series(restore.contents.engine)) {
                    plan.warnings.append("the target is \(version), older than the bundle's \(restore.contents.engine)")
                }
                if let words = try await retentionWarning(restore, server) { plan.warnings.append(words) }
            } catch let failure as Failure {
                plan.warnings.append("the running server was not looked at: \(failure.summary)")
            }
        }
        let folder = folder(target)
        plan.steps += [
            .init("stage", "extract the blocks", command: folder.stagedPath(restore.place)),
            .init("verify", "count blocks, series and samples", command: "promtool tsdb list; promtool tsdb dump"),
        ]
        plan.warnings.append("what was scraped since the copy was taken is in the old folder only")
        folder.describe(restore.place, in: &plan)
        return plan
    }

    private static func series(_ version: String) -> [Int] {
        version.split(separator: " ").last.map { $0.split(separator: ".").compactMap { Int($0) } } ?? []
    }

    /// Blocks beyond the retention are removed soon after the start.
    private func retentionWarning(_ restore: SourceRestore, _ server: PrometheusServer) async throws -> String? {
        let flag = try await server.flags()["storage.tsdb.retention.time"] ?? ""
        // What is not set is shown as nothing and means fifteen days.
        let text = flag == "0s" ? "15d" : flag
        let units: [Character: Int64] = ["h": 3600, "d": 86400, "w": 604_800, "y": 31_536_000]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int64(text.dropLast()), number > 0,
            let from = restore.contents.restoreData["from"]?.integer
        else { return nil }
        guard environment.clock.now().seconds - from / 1000 > number * unit else { return nil }
        return "samples older than the server's retention of \(text) are removed soon after it starts: "
            + "raise --storage.tsdb.retention.time first"
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try requireLocal()
        let plan = try await planRestore(restore)
        guard plan.blockers.isEmpty else {
            throw Failure(.restoreBlocked, "the restore is not possible: \(plan.blockers.joined(separator: "; "))")
        }
        let stream = try restore.stream(Self.stream)
        try await folder(try await target()).stage(restore.place, journal: journal) { path in
            let report = try await TreeRestore.extract(stream: stream, into: path)
            for notice in report.notices { await journal.note(notice) }
            try await Blocking.run {
                // promtool reads no storage without the first and would make the second, as another user's.
                for name in ["wal", "chunks_head"] where mkdir("\(path)/\(name)", 0o755) != 0 {
                    throw Failure(
                        .restoreFailed, "unable to make '\(path)/\(name)': \(String(cString: strerror(errno)))")
                }
            }
        }
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        let path = try await folder(try await target(journal)).staged(restore.place, journal: journal)
        let blocks = try await Blocking.run { try Blocks(in: path) }
        var found = blocks.facts
        do {
            try await list(blocks, in: path)
            if blocks.samples <= Self.mostSamplesRead {
                found["samples"] = .count(try await read(path))
            } else {
                await journal.note("\(blocks.samples) samples: their number is taken from the blocks' own descriptions")
            }
        } catch let failure as Failure where failure.code == .programMissing {
            await journal.note("promtool is missing, so the blocks' own descriptions are all that was compared")
        }
        return restore.contents.facts.compared(with: found)
    }

    private func promtool(_ arguments: [String]) -> Program {
        Program(settings.programs.map { "\($0)/promtool" } ?? "promtool", ["tsdb"] + arguments)
    }

    /// promtool has to open every block.
    private func list(_ blocks: Blocks, in path: String) async throws {
        let program = promtool(["list", path])
        let (output, exit) = try await environment.transport.outputAndExit(of: program)
        guard exit.isSuccess else {
            throw Failure(.verifyFailed, "\(program.commandLine) failed (\(exit.status)): \(exit.lastWords)")
        }
        let text = String(decoding: output, as: UTF8.self)
        if let missing = blocks.blocks.first(where: { !text.contains($0.name) }) {
            throw Failure(.verifyFailed, "promtool does not list the block '\(missing.name)' of '\(path)'")
        }
    }

    /// Samples that promtool can really read.
    private func read(_ path: String) async throws -> Int64 {
        let program = promtool(["dump", path])
        let lines = Mutex<Int64>(0)
        let (_, exit) = try await environment.transport.stream(program) { bytes in
            var count: Int64 = 0
            for byte in bytes where byte == UInt8(ascii: "\n") { count += 1 }
            lines.withLock { $0 += count }
        }
        guard exit.isSuccess else {
            throw Failure(.verifyFailed, "\(program.commandLine) failed (\(exit.status)): \(exit.lastWords)")
        }
        return lines.withLock { $0 }
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await folder(try await target(journal)).promote(restore.place, journal: journal) {
            try await Self.waitForStorage(of: try await server())
        }
    }

    /// The port is open before the storage is.
    private static func waitForStorage(of server: PrometheusServer) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do {
                _ = try await server.call("GET", "/api/v1/status/tsdb")
                return
            } catch let failure as Failure where ContinuousClock.now < deadline && failure.code != .sourceDenied {
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await folder(try await target(journal)).rollBack(place, journal: journal)
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await folder(try await target(journal)).abandon(place, journal: journal)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await folder(try await target(journal)).settle(place, journal: journal)
    }
}
