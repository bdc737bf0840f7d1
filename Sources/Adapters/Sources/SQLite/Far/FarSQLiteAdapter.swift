// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

/// A SQLite database beside what a transport reaches. The program `sqlite3` there makes a copy with SQLite's own backup;
/// the copy is fetched, checked and counted here.
struct FarSQLiteAdapter: SourceAdapter {
    let settings: SQLiteSettings
    let environment: AdapterEnvironment

    var transport: any Transport { environment.transport }

    /// What a script prints, in words.
    ///
    /// - Throws: `Failure` with the script's last words.
    @discardableResult
    func words(_ script: String, _ arguments: [String], _ code: Failure.Code = .sourceFailed) async throws -> [String] {
        let program = Program(
            "sh", ["-c", script, "salvor"] + arguments, environment: ["LC_ALL": "C"])
        let (bytes, exit) = try await transport.outputAndExit(of: program)
        guard exit.isSuccess else {
            let said = exit.lastWords.isEmpty ? "\(exit.status)" : exit.lastWords
            let isFull = said.contains("No space left on device") || said.contains("disk is full")
            throw Failure(isFull ? .localSpace : code, "\(transport.description): \(said)")
        }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init)
    }

    func preflight() async -> [Check] {
        do {
            let version = try await version()
            let words = try await words(
                """
                [ -f "$1" ] || { echo "there is no file '$1'" >&2; exit 9; }
                [ -r "$1" ] || { echo "no permission to read '$1'" >&2; exit 9; }
                set -- $(stat -L -c %s -- "$1") $(stat -f -c '%a %S' -- "$2"); echo $1 $(($2 * $3))
                """, [settings.path, settings.farTemporaryDirectory])
            guard words.count == 2, let size = UInt64(words[0]), let free = UInt64(words[1]) else {
                throw Failure(.sourceFailed, "\(transport.description) does not tell the size of '\(settings.path)'")
            }
            let place = "'\(settings.farTemporaryDirectory)' of \(transport.description)"
            return [
                Check("far sqlite3", .ok, version), Check("database", .ok, "'\(settings.path)', \(size) bytes"),
                free > size
                    ? Check("room", .ok, "\(free) bytes free in \(place)")
                    : Check(
                        "room", .failed, "\(place) has \(free) bytes free; the copy needs \(size)",
                        remedy: "Free space there, or set 'temporary-directory'.", code: .localSpace),
            ]
        } catch {
            let failure = Failure.wrapping(error, as: .sourceFailed)
            return [Check("database", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }

    /// The far program's version.
    private func version() async throws -> String {
        let bytes = try await transport.output(of: Program("sqlite3", ["--version"]))
        return "SQLite " + (String(decoding: bytes, as: UTF8.self).split(separator: " ").first.map(String.init) ?? "?")
    }

    // MARK: Capture

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let version = try await version()
        try await removeLeftOvers()
        let (copy, facts) = try await fetch()
        let inspection = try await CancellationFlag.run { [settings] flag in
            try SQLiteInspection(copy.path, of: settings.path, flag)
        }
        try await SQLiteAdapter.send(copy, of: settings.path, to: sink)
        return CaptureReport(
            engine: version, facts: inspection.facts,
            restoreData: [
                "path": .string(settings.path), "journalMode": .string(copy.journalMode),
                "uid": .integer(Int64(facts.user)), "gid": .integer(Int64(facts.group)),
                "mode": .integer(Int64(facts.mode)),
            ],
            notices: inspection.notices)
    }

    /// Owner and mode of the original.
    private struct Original: Sendable {
        var user: UInt32
        var group: UInt32
        var mode: UInt32
    }

    /// Lets the far program make its copy, fetches it and removes it there.
    private func fetch() async throws -> (SQLiteCopy, Original) {
        let name = "salvor-sqlite-" + String(UInt64.random(in: .min ... .max), radix: 36)
        let folder = settings.farTemporaryDirectory + "/" + name
        try await environment.freezeNotes.add(
            FreezeNote(
                id: name, what: "copy of '\(settings.path)' in \(folder) of \(transport.description)",
                data: ["folder": .string(folder)], noted: environment.clock.now()))
        do {
            let result = try await fetch(folder)
            try await remove(folder, note: name)
            return result
        } catch {
            // The first error is the one to tell; what is left is in the notes, for the next run.
            await Task { try? await remove(folder, note: name) }.value
            throw error
        }
    }

    private func fetch(_ folder: String) async throws -> (SQLiteCopy, Original) {
        let made = try await words(
            """
            mkdir -m 700 -- "$1" && cd -- "$1" || exit 9
            [ -f "$2" ] || { echo "there is no file '$2'" >&2; exit 9; }
            sqlite3 -batch -bail -readonly -cmd ".timeout $3" "$2" '.backup copy' || exit 9
            [ -s copy ] || { echo "the copy of '$2' is empty" >&2; exit 9; }
            mode=$(sqlite3 -batch -bail -readonly -cmd ".timeout $3" "$2" 'PRAGMA journal_mode;') || exit 9
            stat -c %s copy; stat -L -c '%u %g %a' -- "$2"; echo "$mode"
            """, [folder, settings.path, String(settings.busyTimeoutSeconds * 1000)])
        guard made.count == 5, let size = UInt64(made[0]), let user = UInt32(made[1]), let group = UInt32(made[2]),
            let mode = UInt32(made[3], radix: 8)
        else {
            throw Failure(.sourceFailed, "\(transport.description): the copy of '\(settings.path)' is not told right")
        }
        let copy = try await fetch("\(folder)/copy", size: size, journalMode: made[4].lowercased())
        return (copy, Original(user: user, group: group, mode: mode))
    }

    /// Brings a far file here.
    func fetch(_ path: String, size: UInt64, journalMode: String) async throws -> SQLiteCopy {
        let program = Program("cat", ["--", path])
        let (copy, exit) = try await transport.run(program) { [settings] pipes in
            try pipes.closeInput()
            return try await Blocking.run {
                try SQLiteCopy(of: settings.path, below: settings.temporaryDirectory) { local in
                    let file = open(local, O_WRONLY | O_CLOEXEC)
                    guard file >= 0 else { throw Failure.system("open", local, errno) }
                    defer { close(file) }
                    let length = try pipes.forEachChunk { chunk in
                        var done = 0
                        while done < chunk.count {
                            let count = write(file, chunk.baseAddress?.advanced(by: done), chunk.count - done)
                            if count < 0, errno == EINTR { continue }
                            guard count > 0 else { throw Failure.system("write", local, errno) }
                            done += count
                        }
                    }
                    guard length == size else {
                        throw Failure(
                            .sourceFailed, "the copy of '\(settings.path)' has \(size) bytes and gave \(length)")
                    }
                    return journalMode
                }
            }
        }
        try exit.requireSuccess(of: program)
        return copy
    }

    private func remove(_ folder: String, note: String) async throws {
        try await words("rm -rf -- \"$1\"", [folder])
        try await environment.freezeNotes.erase(note)
    }

    /// Removes the copies of runs that were killed.
    private func removeLeftOvers() async throws {
        for note in try await environment.freezeNotes.all() {
            if let folder = note.data["folder"]?.string { try await remove(folder, note: note.id) }
        }
    }
}
