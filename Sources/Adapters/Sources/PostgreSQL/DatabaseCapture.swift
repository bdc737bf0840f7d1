// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// The capture of one database: an exported snapshot, in which rows are counted while pg_dump reads it.
struct DatabaseCapture: Sendable {
    struct Result: Sendable {
        var record: DatabaseRecord
        var facts: Facts
        var notices: [String]
    }

    private struct Counted: Sendable {
        var record: DatabaseRecord
        var facts: Facts
    }

    private struct Dumped: Sendable {
        var sequences: [ArchiveScanner.SequenceValue]
        var warnings: [String]
    }

    private enum Part: Sendable {
        case counted(Facts)
        case dumped(Dumped)
    }

    let server: Server
    let sink: any CaptureSink
    let database: String

    /// Captures the database as it is now.
    func run() async throws -> Result {
        try await saying {
            let held = try await HeldDatabase.open(server, database)
            do {
                try await held.export()
                let result = try await capture(held)
                try await held.end()
                return result
            } catch {
                await held.abort()
                throw error
            }
        }
    }

    /// Captures what is held: one task counts in its snapshot, the other dumps. Either's failure ends the other at once.
    /// The snapshot has to live until pg_dump has imported it; it lives until whoever holds it lets it go.
    func capture(_ held: HeldDatabase) async throws -> Result {
        try await saying {
            let record = try await held.use { session in
                let query = DatabaseRecord.query(major: server.identity.major)
                guard var record = try await session.rows(DatabaseRecord.self, query).first else {
                    throw Failure(.sourceChanged, "the database is gone")
                }
                record.stream = DatabaseRecord.streamName(database)
                return record
            }
            let snapshot = try held.snapshot
            var facts: Facts?
            var dumped: Dumped?
            try await withThrowingTaskGroup(of: Part.self) { group in
                group.addTask {
                    .counted(
                        try await held.use { session in
                            try await CatalogFacts(
                                session: session, database: database, counting: server.settings.counting,
                                place: .source
                            ).collect()
                        })
                }
                group.addTask { .dumped(try await dump(snapshot, record)) }
                for try await part in group {
                    switch part {
                    case .counted(let value): facts = value
                    case .dumped(let value): dumped = value
                    }
                }
            }
            guard let facts, let dumped else { throw Failure(.internalError, "a capture without a result") }
            return result(Counted(record: record, facts: facts), dumped)
        }
    }

    /// Names the database in failures that do not.
    private func saying(_ body: () async throws -> Result) async throws -> Result {
        do { return try await body() } catch let error as Failure {
            throw error.summary.contains("'\(database)'") ? error : error.prefixed("database '\(database)'")
        }
    }

    private func dump(_ snapshot: String, _ record: DatabaseRecord) async throws -> Dumped {
        let program = server.programs.program(
            "pg_dump", database: database,
            [
                // Uncompressed: the repository compresses, and finds what did not change.
                "--format=custom", "--compress=0", "--encoding=\(record.encoding)", "--snapshot=\(snapshot)",
                "--lock-wait-timeout=\(server.settings.lockTimeout)",
            ])
        let name = DatabaseRecord.streamName(database)
        let outcome = Outcome()
        _ = try await sink.raw(name, fileName: "\(name).dump", estimatedBytes: record.bytes) { sink in
            let archive = ArchiveStream(sink)
            let (_, exit) = try await server.transport.stream(program) { try archive.take($0) }
            try DumpFailure.check(exit, of: program, programs: server.programs, about: "database '\(database)'")
            let (end, scanner) = try archive.finish()
            if !scanner.isKnown {
                throw Failure(
                    .versionRefused, "this pg_dump writes archives of a version that cannot be checked",
                    hint: "Use a newer salvor, or the client programs of PostgreSQL 18 or older.")
            }
            let warnings = exit.standardError.split(whereSeparator: \.isNewline).map {
                server.programs.redacting(String($0))
            }
            await outcome.set(Dumped(sequences: scanner.sequences, warnings: warnings))
            return end
        }
        guard let dumped = await outcome.value else { throw Failure(.internalError, "a dump without an end") }
        return dumped
    }

    private actor Outcome {
        private(set) var value: Dumped?

        func set(_ value: Dumped) { self.value = value }
    }

    private func result(_ counted: Counted, _ dumped: Dumped) -> Result {
        var facts = counted.facts
        var notices = dumped.warnings.map { "database '\(database)': \($0)" }
        // Sequences are outside of snapshots: under a running application the archive may hold a later value than was
        // counted. What the archive sets is what a restore has to show.
        for sequence in dumped.sequences {
            let name = CatalogFacts.sequenceFact(database, sequence.schema, sequence.name)
            if facts[name] != nil { facts[name] = CatalogFacts.sequenceValue(sequence.value, sequence.isCalled) }
        }
        if counted.record.subscriptions > 0 {
            notices.append("database '\(database)': its subscriptions come back disabled")
        }
        if let count = facts[CatalogFacts.prefix(database) + "foreign tables"], count != .count(0) {
            notices.append("database '\(database)': rows of foreign tables stay where they are and are not stored")
        }
        return Result(record: counted.record, facts: facts, notices: notices)
    }
}
