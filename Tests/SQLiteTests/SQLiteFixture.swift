// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import GRDB
import TestSupport
import Transports

@testable import SQLite

/// A folder with a database, its adapter, and what a restore of it needs.
struct SQLiteFixture {
    let folder: TemporaryDirectory
    let temporary: TemporaryDirectory
    let journal = MortalJournal()

    var path: String { folder("app.db") }

    init() throws {
        folder = try TemporaryDirectory("sqlite")
        temporary = try TemporaryDirectory("copies")
    }

    func adapter(path: String? = nil, transport: any Transport = LocalTransport()) throws -> any SourceAdapter {
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        let node = ConfigNode.mapping(
            [
                (key: "path", mark: mark, value: .scalar(path ?? self.path, isQuoted: false, mark)),
                (key: "busy-timeout", mark: mark, value: .scalar("1", isQuoted: false, mark)),
                (key: "temporary-directory", mark: mark, value: .scalar(temporary.path, isQuoted: false, mark)),
            ], mark)
        let source = SourceSettings(name: "search", adapter: "sqlite", transport: .local, settings: node, mark: mark)
        return try SQLiteAdapterFactory().make(
            AdapterEnvironment(source: source, transport: transport, secrets: LiteralSecrets(), clock: SystemClock()))
    }

    struct Copy {
        var report: CaptureReport
        var bytes: [UInt8]
        var fileName: String
    }

    func capture() async throws -> Copy {
        let sink = MemoryCapture()
        let report = try await adapter().capture(into: sink)
        let stream = sink.stream("database")
        return Copy(report: report, bytes: stream?.bytes ?? [], fileName: stream?.fileName ?? "")
    }

    func restore(_ copy: Copy, rename: String? = nil) throws -> SourceRestore {
        guard let bundle = BundleID("20261121T020003Z-nightly-k3f9qz") else { throw MortalJournal.Killed() }
        return SourceRestore(
            restoreID: "k3f9", bundle: bundle,
            contents: Contents.Source(
                name: "search", engine: copy.report.engine, facts: copy.report.facts,
                restoreData: copy.report.restoreData, notices: copy.report.notices, position: nil),
            streams: [MemoryStream(name: "database", kind: .raw, fileName: copy.fileName, bytes: copy.bytes)],
            rename: rename, scratchDirectory: temporary.path)
    }

    func restoreFully(_ copy: Copy, rename: String? = nil) async throws {
        let (adapter, restore) = (try adapter(), try restore(copy, rename: rename))
        try await adapter.stage(restore, journal: journal)
        let facts = try await adapter.verify(restore, journal: journal)
        guard facts.allSatisfy(\.isEqual) else { throw Failure(.verifyFailed, "\(facts.filter { !$0.isEqual })") }
        try await adapter.promote(restore, journal: journal)
    }

    /// Makes the database: tables, a WITHOUT ROWID one, NULs and blobs, three kinds of full-text index, versions.
    func fill(journalMode: String = "wal", rows: Int = 500) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA journal_mode = \(journalMode)")
            try database.execute(
                sql: """
                    PRAGMA user_version = 7; PRAGMA application_id = 4711;
                    CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT, extra BLOB);
                    CREATE TABLE pairs(left TEXT, right TEXT, PRIMARY KEY(left, right)) WITHOUT ROWID;
                    CREATE TABLE loose(body TEXT);
                    CREATE INDEX by_body ON notes(body);
                    CREATE VIEW recent AS SELECT * FROM notes WHERE id > 10;
                    CREATE TRIGGER pairing AFTER INSERT ON loose BEGIN INSERT INTO pairs VALUES(new.body, new.rowid); END;
                    CREATE VIRTUAL TABLE own USING fts5(body);
                    CREATE VIRTUAL TABLE outside USING fts5(body, content='notes', content_rowid='id');
                    CREATE VIRTUAL TABLE looser USING fts5(body, content='loose');
                    CREATE VIRTUAL TABLE old USING fts4(body);
                    """)
            try database.inTransaction {
                for row in 1...rows {
                    let text = "note \(row) about topic\(row % 7)"
                    try database.execute(
                        sql: "INSERT INTO notes VALUES(?, ?, ?)",
                        arguments: [row, text, Data([0, 1, UInt8(row % 251)])])
                    try database.execute(sql: "INSERT INTO loose VALUES(?)", arguments: [text])
                    try database.execute(sql: "INSERT INTO own VALUES(?)", arguments: [text])
                    try database.execute(sql: "INSERT INTO old VALUES(?)", arguments: [text])
                }
                // Row ids with gaps: a copy that renumbers them breaks the index of 'loose'.
                try database.execute(
                    sql: "DELETE FROM loose WHERE rowid % 3 = 0; INSERT INTO outside(outside) VALUES('rebuild')")
                try database.execute(sql: "INSERT INTO looser(looser) VALUES('rebuild')")
                return .commit
            }
        }
        try queue.close()
    }

    /// All content as SQL text, with what the text leaves out.
    static func dump(_ path: String) throws -> String {
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/usr/bin/sqlite3")
        shell.arguments = [
            path, ".dump", "PRAGMA user_version", "PRAGMA application_id", "PRAGMA journal_mode",
            "SELECT rowid, body FROM loose", "SELECT group_concat(rowid) FROM looser WHERE looser MATCH 'topic3'",
        ]
        let output = try shell.start {
            let output = Pipe()
            shell.standardOutput = output
            return output
        }
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        shell.waitUntilExit()
        guard shell.terminationStatus == 0 else { throw Failure(.programFailed, "sqlite3 failed") }
        return String(decoding: data, as: UTF8.self)
    }

    /// Names in the database's folder.
    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }

    static func execute(_ path: String, _ sql: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
        try queue.close()
    }
}

/// A place whose files are somewhere else.
struct FarTransport: Transport {
    var description: String { "docker:db" }
    var reachesLocalFiles: Bool { false }

    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) { throw Failure(.programMissing, "nothing runs here") }

    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        throw Failure(.sourceUnreachable, "nothing listens here")
    }
}
