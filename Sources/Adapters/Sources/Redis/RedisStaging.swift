// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

extension RedisAdapter {
    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var page = try await RedisPage(journal)
        switch page.record.phase {
        case .none, .staging, .staged: break
        default: throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' is past its staging")
        }
        let target = try await self.target(for: restore)
        guard target.blockers.isEmpty, let program = target.program, let address = target.address else {
            throw Failure(.restoreBlocked, target.blockers.joined(separator: "; "))
        }
        let databases = max(16, Int(restore.contents.restoreData["databases"]?.integer ?? 16))
        try await page.write {
            $0.phase = .staging
            $0.program = program
            $0.address = address
            $0.databases = databases
        }
        let dump = ScratchServer.dump(in: restore.scratchDirectory)
        let rdb = try restore.stream(RedisNames.rdb)
        // The name appears when the file is whole, so its length tells whether the download must be repeated.
        if try await Blocking.run({ DurableFile.size(of: dump) }) != rdb.receipt.length {
            try await ScratchServer.remove(in: restore.scratchDirectory, transport: environment.transport)
            let file = try await Blocking.run { try DurableFile(dump) }
            try await rdb.read(nil) { try file.write($0) }
            try await Blocking.run { try file.commit() }
        }
        let scratch = try await scratchServer(restore, page.record)
        try await tryRules(restore, on: scratch)
        try await page.write { $0.phase = .staged }
        await page.note("the copy is loaded by \(program) at port \(scratch.port)")
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        let page = try await RedisPage(journal)
        guard page.record.phase == .staged else {
            throw Failure(.restoreFailed, "nothing is staged of '\(environment.source.name)'")
        }
        let scratch = try await scratchServer(restore, page.record)
        let connection = try await scratch.endpoint.connect()
        var found = try await scratch.endpoint.saying { try await facts(connection) }
        let recorded = restore.contents.facts
        found["rdb format"] = recorded["rdb format"].flatMap { _ in
            // What was loaded is the bundle's file, whose bytes were checked on their way here.
            try? .text(Self.format(ofFileAt: ScratchServer.dump(in: restore.scratchDirectory)))  // no file: no fact
        }
        if let estimate = restore.contents.restoreData["estimatedKeys"]?.integer {
            let keys = try await connection.info().keys
            await page.note("\(keys) keys were loaded, about \(estimate) were there at the capture")
            guard keys > 0 || estimate == 0 else {
                throw Failure(.verifyFailed, "the staged copy is empty, and about \(estimate) keys were there")
            }
            return recorded.compared(with: found).filter { $0.recorded != nil }
        }
        return recorded.compared(with: found)
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var page = try await RedisPage(journal)
        switch page.record.phase {
        // What was rolled back is removed after it, and nothing is left to remove.
        case .none, .staging, .staged, .abandoned, .rolledBack: break
        default:
            throw Failure(
                .restoreFailed, "the restore of '\(environment.source.name)' was promoted already",
                hint: "Roll it back instead.")
        }
        try await ScratchServer.remove(in: place.scratchDirectory, transport: environment.transport)
        try await page.write { $0.phase = .abandoned }
    }

    /// The staged copy's server, started again if it is gone.
    func scratchServer(_ restore: SourceRestore, _ record: RedisRecord) async throws -> ScratchServer {
        try await scratchServer(in: restore.scratchDirectory, record)
    }

    /// The server of that folder, which holds an RDB, started again if it is gone.
    func scratchServer(in directory: String, _ record: RedisRecord) async throws -> ScratchServer {
        guard let program = record.program, let address = record.address else {
            throw Failure(.stateDamaged, "the journal of the restore names no scratch server")
        }
        guard try await Blocking.run({ DurableFile.size(of: ScratchServer.dump(in: directory)) }) != nil else {
            throw Failure(.restoreFailed, "the staged copy in \(directory) is gone", hint: "Restore again.")
        }
        return try await ScratchServer.running(
            in: directory, program: program, address: address, databases: record.databases,
            modules: settings.scratchModules, transport: environment.transport)
    }

    /// What a server holds, counted as at capture.
    func facts(_ connection: RespConnection) async throws -> Facts {
        RedisNames.facts(
            databases: try await connection.info().databases,
            functions: try await connection.functions().mapValues(\.description))
    }

    private static func format(ofFileAt path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(.localInput, "unable to open '\(path)'") }
        defer { close(descriptor) }
        var magic = [UInt8](repeating: 0, count: 9)
        guard read(descriptor, &magic, 9) == 9, let version = RDBVersion(magic: magic) else {
            throw Failure(.restoreFailed, "'\(path)' is not an RDB")
        }
        return version.description
    }
}
