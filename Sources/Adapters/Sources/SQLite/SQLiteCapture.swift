// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import GRDB
import Glibc

extension SQLiteAdapter {
    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let settings = settings
        let original = try await Blocking.run { try DatabaseFile.existing(settings.path) }
        return try await capture(original, held: nil, into: sink)
    }

    /// - Parameter held: the moment to capture; nil: now.
    func capture(
        _ original: DatabaseFile, held: SQLiteReading?, into sink: any CaptureSink
    ) async throws -> CaptureReport {
        let settings = settings
        let (copy, inspection) = try await CancellationFlag.run { flag in
            let copy = try SQLiteCopy(
                of: original.path, held: held, below: settings.temporaryDirectory,
                busySeconds: settings.busyTimeoutSeconds, flag)
            return (copy, try SQLiteInspection(copy.path, of: settings.path, flag))
        }
        try await Self.send(copy, of: settings.path, to: sink)
        return CaptureReport(
            engine: "SQLite \(try await Self.version())", facts: inspection.facts,
            restoreData: [
                "path": .string(settings.path), "journalMode": .string(copy.journalMode),
                "uid": .integer(Int64(original.user)),
                "gid": .integer(Int64(original.group)), "mode": .integer(Int64(original.mode)),
            ],
            notices: inspection.notices)
    }

    /// Writes a copy to the bundle.
    static func send(_ copy: SQLiteCopy, of original: String, to sink: any CaptureSink) async throws {
        let size = try await Blocking.run { try DatabaseFile.existing(copy.path).size }
        let name = String(original.split(separator: "/").last ?? "database")
        _ = try await sink.raw(stream, fileName: name, estimatedBytes: size) { output in
            try await CancellationFlag.run { flag in
                var length: UInt64 = 0
                try FileReading.forEachChunk(of: copy.path) { chunk in
                    try flag.check()
                    try output.write(chunk)
                    length += UInt64(chunk.count)
                }
                guard length == size else {
                    throw Failure(.localInput, "the copy of '\(original)' has \(size) bytes and gave \(length)")
                }
                return StreamEnd(length: length)
            }
        }
    }

    func preflight() async -> [Check] {
        do {
            let settings = settings
            return try await Blocking.run {
                let file = try DatabaseFile.existing(settings.path)
                var configuration = Configuration()
                configuration.readonly = true
                configuration.busyMode = .timeout(Double(min(settings.busyTimeoutSeconds, 5)))
                let mode = try saying(settings.path) {
                    let queue = try DatabaseQueue(path: file.path, configuration: configuration)
                    defer { try? queue.close() }  // only read
                    return try queue.unsafeRead { database in
                        _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master")
                        return try String.fetchOne(database, sql: "PRAGMA journal_mode") ?? ""
                    }
                }
                var checks = [Check("database", .ok, "'\(settings.path)', \(file.size) bytes, journal mode \(mode)")]
                let needed = file.size + (DatabaseFile.size(file.path + "-wal") ?? 0)
                let free = try FileReading.freeBytes(settings.temporaryDirectory)
                checks.append(
                    free > needed
                        ? Check("room", .ok, "\(free) bytes free in '\(settings.temporaryDirectory)'")
                        : Check(
                            "room", .failed,
                            "'\(settings.temporaryDirectory)' has \(free) bytes free; the copy needs \(needed)",
                            remedy: "Free space there, or set 'temporary-directory'.", code: .localSpace))
                return checks
            }
        } catch {
            let failure = Failure.wrapping(error, as: .sourceFailed)
            return [Check("database", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }

    /// The version of the SQLite library in use.
    static func version() async throws -> String {
        try await Blocking.run {
            try DatabaseQueue().read { try String.fetchOne($0, sql: "SELECT sqlite_version()") ?? "" }
        }
    }
}
