// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

extension FarSQLiteAdapter {
    private func wantedPath(_ restore: SourceRestore) -> String { restore.rename ?? settings.path }

    /// What is at a target there.
    private struct Survey {
        var target: String
        var inode: UInt64?
        var size: UInt64
        var free: UInt64
        var isWritable: Bool
    }

    private func survey(_ path: String) async throws -> Survey {
        let lines = try await words(
            FarSwap.prelude + """
                t=$(readlink -f -- "$1") || die "the folder of '$1' does not exist"
                d=${t%/*}; [ -n "$d" ] || d=/
                [ -d "$d" ] || die "the folder of '$1' does not exist"
                [ ! -e "$t" ] || [ -f "$t" ] || die "'$1' is not a plain file"
                i=$(inode "$t"); s=0; [ -z "$i" ] || s=$(stat -c %s -- "$t")
                w=fixed; [ ! -w "$d" ] || w=writable
                set -- $(stat -f -c '%a %S' -- "$d"); echo "${i:-none} $s $(($1 * $2)) $w"
                printf %s "$t" | od -An -v -tx1 | tr -d ' \\n'
                """, [path], .restoreFailed)
        guard lines.count == 5, let size = UInt64(lines[1]), let free = UInt64(lines[2]),
            let target = Self.text(hexadecimal: lines[4])
        else { throw Failure(.restoreFailed, "\(transport.description): the look at '\(path)' gave nothing readable") }
        return Survey(
            target: target, inode: UInt64(lines[0]), size: size, free: free, isWritable: lines[3] == "writable")
    }

    private static func text(hexadecimal: String) -> String? {
        let digits = Array(hexadecimal.utf8)
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
        }
        return bytes.count * 2 == digits.count ? String(validating: bytes, as: UTF8.self) : nil
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let path = wantedPath(restore)
        let stream = try restore.stream(SQLiteAdapter.stream)
        var plan = SourceRestorePlan(
            target: "'\(path)' of \(transport.description)", origin: restore.contents.engine)
        plan.bytesNeeded = stream.receipt.length
        guard path.hasPrefix("/"), !path.hasSuffix("/") else {
            plan.blockers.append("'\(path)' is not the absolute path of a file")
            return plan
        }
        if !restore.include.isEmpty {
            plan.blockers.append("a SQLite database is restored as a whole: '--include' selects nothing in it")
        }
        let found: Survey
        do { found = try await survey(path) } catch let failure as Failure {
            plan.blockers.append(failure.summary)
            return plan
        }
        plan.bytesFree = found.free
        if found.free < stream.receipt.length {
            plan.blockers.append("the folder of '\(found.target)' has too little room: \(found.free) bytes")
        }
        if !found.isWritable { plan.blockers.append("the folder of '\(found.target)' may not be written") }
        let swap = FarSwap(found.target, restore.restoreID)
        plan.creates = [swap.staged]
        if found.inode != nil {
            plan.replaces = ["'\(found.target)' (\(found.size) bytes)"]
            plan.creates.append(swap.before)
            plan.warnings.append("programs that have '\(found.target)' open go on with the old file: stop them first")
        }
        plan.steps = [
            .init("stage", "write the copy beside the live file", command: swap.staged),
            .init("verify", "fetch the copy, check it and compare its rows", command: "PRAGMA integrity_check"),
            .init("promote", "empty the live write-ahead log", command: "PRAGMA wal_checkpoint(TRUNCATE)"),
            .init("promote", "exchange the files and keep the old one", command: "mv --exchange, or two renames"),
        ]
        return plan
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        let path = wantedPath(restore)
        guard [.none, .staging, .staged].contains(record.phase) else {
            throw Failure(.restoreFailed, "the restore of '\(path)' is past its staging")
        }
        record.target = try await survey(path).target
        record.phase = .staging
        try await record.write(to: journal)
        let swap = FarSwap(record.target, restore.restoreID)
        let stream = try restore.stream(SQLiteAdapter.stream)
        let data = restore.contents.restoreData
        func number(_ key: String, _ radix: Int = 10) -> String {
            data[key]?.integer.map { String($0, radix: radix) } ?? ""
        }
        let program = Program(
            "sh",
            [
                "-c", FarSwap.stage, "salvor", record.target, swap.staged, String(stream.receipt.length), number("uid"),
                number("gid"), number("mode", 8), data["journalMode"]?.string == "wal" ? "wal" : "",
            ], environment: ["LC_ALL": "C"])
        let (text, exit) = try await transport.run(program) { pipes in
            try await stream.read(nil) { try pipes.write($0) }
            try pipes.closeInput()
            return try await Blocking.run {
                var printed: [UInt8] = []
                try pipes.forEachChunk { printed.append(contentsOf: $0) }
                return String(decoding: printed, as: UTF8.self)
            }
        }
        try exit.requireSuccess(of: program, hint: "The live database was not touched.")
        record.new = UInt64(text.filter(\.isNumber))
        record.phase = .staged
        try await record.write(to: journal)
    }

    /// Fetches the staged copy and counts here, as at capture.
    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        let record = try await SQLiteRecord.read(journal)
        let swap = FarSwap(record.target, restore.restoreID)
        let words =
            record.phase == .staged ? try await words("stat -c '%i %s' -- \"$1\"", [swap.staged], .restoreFailed) : []
        guard words.count == 2, UInt64(words[0]) == record.new, let size = UInt64(words[1]) else {
            throw Failure(.restoreFailed, "nothing is staged for '\(wantedPath(restore))'", hint: "Restore again.")
        }
        let copy = try await fetch(swap.staged, size: size, journalMode: "")
        let found = try await CancellationFlag.run { flag in
            do { return try SQLiteInspection(copy.path, of: swap.staged, flag) } catch let failure as Failure {
                throw Failure(.verifyFailed, failure.summary, hint: "The live database was not touched.")
            }
        }
        for notice in found.notices { await journal.note(notice) }
        return restore.contents.facts.compared(with: found.facts)
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        switch record.phase {
        case .promoted: return
        case .staged:
            let said = try await words(FarSwap.calm, [record.target], .restoreBlocked)
            if !said.isEmpty {
                await journal.note("the live database is kept as it is: \(said.joined(separator: " "))")
            }
            record.old = try await survey(record.target).inode
            record.phase = .promoting
            try await record.write(to: journal)
        case .promoting: break
        default: throw Failure(.restoreFailed, "nothing is staged for '\(wantedPath(restore))'")
        }
        try await swap(FarSwap.forward, record, restore.restoreID)
        record.phase = .promoted
        try await record.write(to: journal)
    }

    private func swap(_ script: String, _ record: SQLiteRecord, _ id: String) async throws {
        let swap = FarSwap(record.target, id)
        try await words(
            FarSwap.prelude + script,
            [
                record.target, swap.staged, swap.before, record.new.map { String($0) } ?? "none",
                record.old.map { String($0) } ?? "",
            ], .restoreFailed)
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        switch record.phase {
        case .rolledBack: return
        case .settled:
            throw Failure(.restoreFailed, "the old file of '\(record.target)' is gone: it was settled")
        case .none, .staging, .staged, .abandoned: return try await abandon(place, journal: journal)
        case .promoting, .promoted: break
        }
        try await swap(FarSwap.back, record, place.restoreID)
        record.phase = .rolledBack
        try await record.write(to: journal)
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        guard ![.promoting, .promoted, .settled].contains(record.phase) else {
            throw Failure(
                .restoreFailed, "the restore of '\(record.target)' was promoted already", hint: "Roll it back instead.")
        }
        if !record.target.isEmpty {
            try await words(FarSwap.remove, [FarSwap(record.target, place.restoreID).staged], .restoreFailed)
        }
        record.phase = .abandoned
        try await record.write(to: journal)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        guard [.promoted, .settled].contains(record.phase) else {
            throw Failure(.restoreFailed, "the restore of source '\(place.source)' is not promoted")
        }
        record.phase = .settled
        try await record.write(to: journal)
        try await words(FarSwap.remove, [FarSwap(record.target, place.restoreID).before], .restoreFailed)
    }
}

/// The far shell's part of a SQLite restore: as `FileSwap`, each script looks by inodes what is done already, so that it
/// can be run again after a crash.
struct FarSwap: Sendable {
    let staged: String
    let before: String

    init(_ target: String, _ id: String) {
        (staged, before) = (FileSwap.staged(target, id), "\(target).before-\(id)")
    }

    static let prelude = """
        inode() { salvor_i=$(ls -di -- "$1" 2>/dev/null) || salvor_i=; salvor_i=${salvor_i#"${salvor_i%%[0-9]*}"}; \
        echo "${salvor_i%%[!0-9]*}"; }
        die() { echo "$*" >&2; exit 9; }
        belongings() { for c in -wal -shm -journal; do if [ -e "$1$c" ] && [ ! -e "$2$c" ]; then \
        mv -T -- "$1$c" "$2$c" || exit 9; fi; done; }

        """

    /// target, staged, size, uid, gid, mode, `wal` or nothing; the file comes on standard input. Prints its inode.
    static let stage =
        prelude + """
            umask 077; rm -f -- "$2" "$2-wal" "$2-shm" "$2-journal"; set -C; cat >"$2" || exit 9; set +C
            [ "$(stat -c %s -- "$2")" = "$3" ] || die "the staged copy '$2' is not whole"
            if [ "$7" = wal ]; then
                [ "$(sqlite3 -batch -bail "$2" 'PRAGMA journal_mode = WAL;')" = wal ] || die "'$2' takes no write-ahead log"
                rm -f -- "$2-wal" "$2-shm"
            fi
            if [ -e "$1" ]; then set -- "$1" "$2" $(stat -c '%u %g %a' -- "$1"); else set -- "$1" "$2" $4 $5 $6; fi
            if [ $# -eq 5 ]; then
                if [ "$(id -u)" = 0 ]; then chown -- "$3:$4" "$2" || exit 9; fi
                chmod -- "$5" "$2" || exit 9
            fi
            sync; inode "$2"
            """

    /// target: brings what is in its write-ahead log into the file. Fails when somebody holds it; prints why it could not
    /// be done otherwise.
    static let calm = """
        [ -s "$1" ] || exit 0
        said=$(sqlite3 -batch -bail -cmd '.timeout 10000' "$1" \
            'BEGIN IMMEDIATE; ROLLBACK; PRAGMA wal_checkpoint(TRUNCATE);' 2>&1 >/dev/null) && exit 0
        case $said in *locked*) echo "'$1' is locked by another program: stop it, then promote again" >&2; exit 9 ;; esac
        echo "$said"
        """

    /// target, staged, before, new inode, old inode.
    static let forward = """
        t=$1; s=$2; b=$3; i=$4; o=$5
        if [ "$(inode "$t")" != "$i" ]; then
            if [ "$(inode "$t")" = "$o" ]; then
                belongings "$t" "$b"
                if [ -z "$o" ]; then mv -T -- "$s" "$t" || exit 9
                elif ! mv --exchange --no-copy -T -- "$s" "$t" 2>/dev/null; then
                    mv -T -- "$t" "$b" && mv -T -- "$s" "$t" || exit 9
                fi
            elif [ -z "$(inode "$t")" ] && [ "$(inode "$b")" = "$o" ]; then mv -T -- "$s" "$t" || exit 9
            else die "'$t' was replaced by somebody else meanwhile"; fi
        fi
        if [ -n "$o" ] && [ "$(inode "$s")" = "$o" ]; then mv -T -- "$s" "$b" || exit 9; fi
        [ "$(inode "$t")" = "$i" ] || die "'$t' is not the restored copy"
        sync
        """

    /// The same, back.
    static let back = """
        t=$1; s=$2; b=$3; i=$4; o=$5
        if [ "$(inode "$t")" = "$i" ]; then
            if [ -n "$o" ] && [ "$(inode "$s")" = "$o" ]; then mv -T -- "$s" "$b" || exit 9; fi
            [ -z "$o" ] || [ "$(inode "$b")" = "$o" ] || die "the kept file '$b' is gone"
            belongings "$t" "$s"; mv -T -- "$t" "$s" || exit 9
        fi
        if [ -n "$o" ] && [ -z "$(inode "$t")" ] && [ "$(inode "$b")" = "$o" ]; then mv -T -- "$b" "$t" || exit 9; fi
        [ "$(inode "$t")" = "$o" ] || die "'$t' was replaced by somebody else meanwhile; the old database is '$b'"
        belongings "$b" "$t"
        rm -f -- "$s" "$s-wal" "$s-shm" "$s-journal"; sync
        """

    /// path: removes a file with what belongs to it.
    static let remove = "rm -f -- \"$1-wal\" \"$1-shm\" \"$1-journal\" \"$1\"; sync"
}
