// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Foundation
import Glibc

/// How far the restore of a server's data folder is, as its journal keeps it.
struct FolderRecord: Codable, Sendable, Equatable {
    enum Phase: String, Codable, Sendable {
        case none, staging, staged, promoting, promoted
        case rollingBack = "rolling-back"
        case rolledBack = "rolled-back"
        case abandoned, settled
    }

    var phase = Phase.none
    /// The live folder; nil: the copy is only made, and somebody puts it in place by hand.
    var target: String?
    /// Inodes of the staged folder and of the one that was live when promotion began.
    var new: UInt64?
    var old: UInt64?
}

/// The restore of a server whose data is one folder that it may not lose while it runs: a new folder is made beside, the
/// server stopped, the folders exchanged, the server started.
public struct FolderRestore: Sendable {
    /// The source's name, for messages.
    public let source: String
    /// The live folder; nil: nobody said where it is.
    public let target: String?
    /// Programs that stop and start the server; nil: somebody does it by hand.
    public let stop: [String]?
    public let start: [String]?
    private let transport: any Transport
    private let launch: (@Sendable () async throws -> Void)?
    private let isAnswering: @Sendable () async -> Bool

    /// - Parameters:
    ///   - launch: starts a server that is no service of the host's, and returns when it answers; instead of `start`.
    ///   - isAnswering: whether the live server can be reached at this moment.
    public init(
        source: String, target: String?, stop: [String]?, start: [String]?, transport: any Transport,
        launch: (@Sendable () async throws -> Void)? = nil, isAnswering: @escaping @Sendable () async -> Bool
    ) {
        self.source = source
        self.target = target
        self.stop = stop
        self.start = start
        self.transport = transport
        self.launch = launch
        self.isAnswering = isAnswering
    }

    /// Where the copy is made.
    public func stagedPath(_ place: RestorePlace) -> String {
        target.map { FolderExchange($0, restoreID: place.restoreID).staged } ?? place.keepDirectory + "/data"
    }

    /// Adds to a plan what happens to the folder.
    public func describe(_ place: RestorePlace, in plan: inout SourceRestorePlan) {
        plan.creates.append(stagedPath(place))
        guard transport.reachesLocalFiles else {
            plan.blockers.append(
                "the server's files are not reachable through \(transport.description): restore on its host")
            return
        }
        guard let target else {
            plan.warnings.append(
                "there is no 'restore.data-directory': the copy is made and verified, and you put it in place")
            return
        }
        let parent = FolderExchange.parent(of: target)
        if access(parent, W_OK) != 0 { plan.blockers.append("the folder '\(parent)' may not be written") }
        var status = statvfs()
        if statvfs(parent, &status) == 0 {
            plan.bytesFree = UInt64(status.f_bavail) * UInt64(status.f_frsize)
            if let needed = plan.bytesNeeded, let free = plan.bytesFree, free < needed {
                plan.blockers.append("'\(parent)' has \(free) bytes free, the copy takes at least \(needed)")
            }
        }
        let isThere = FolderExchange.inode(target) != nil
        if isThere {
            plan.replaces.append("folder \(target)")
            var (mine, above) = (stat(), stat())
            if lstat(target, &mine) == 0, stat(parent, &above) == 0, mine.st_dev != above.st_dev {
                plan.blockers.append("'\(target)' is a mount point and cannot be exchanged")
            }
            if mine.st_mode & S_IFMT == S_IFLNK {
                plan.blockers.append("'\(target)' is a symbolic link: name its target")
            }
        }
        plan.steps.append(
            .init(
                "promote", "stop the server",
                command: stop.map { Program($0[0], Array($0.dropFirst())).commandLine } ?? "by hand, before promoting"))
        plan.steps.append(
            .init(
                "promote", isThere ? "exchange the folders and keep the old one" : "move the copy to \(target)",
                command: isThere ? "renameat2(RENAME_EXCHANGE)" : "renameat2(RENAME_NOREPLACE)"))
        plan.steps.append(
            .init(
                "promote", "start the server",
                command: start.map { Program($0[0], Array($0.dropFirst())).commandLine } ?? "by hand, after promoting"))
        if stop == nil { plan.warnings.append("there is no 'restore.stop': stop the server yourself before promoting") }
    }

    // MARK: - Steps

    /// Makes the copy with `make`, which gets a path at which there is nothing.
    public func stage(
        _ place: RestorePlace, journal: any RestoreJournal, _ make: @Sendable (String) async throws -> Void
    ) async throws {
        var record = try await read(journal)
        guard [.none, .staging, .staged].contains(record.phase) else {
            throw Failure(.restoreFailed, "the restore of '\(source)' is past its staging")
        }
        record = FolderRecord(phase: .staging, target: target)
        try await write(record, journal)
        let path = stagedPath(place)
        try await Blocking.run { try FolderExchange.remove(path) }
        await journal.note("restoring into '\(path)'")
        try await make(path)
        let target = target
        let isGiven = try await Blocking.run { try target.map { try FolderExchange.giveAway(path, like: $0) } }
        if isGiven == false, launch == nil {
            await journal.note("'\(path)' belongs to the user who restores: give it to the server's")
        }
        guard let new = FolderExchange.inode(path) else {
            throw Failure(.restoreFailed, "nothing was restored into '\(path)'")
        }
        record.new = new
        record.phase = .staged
        try await write(record, journal)
    }

    /// The staged copy.
    ///
    /// - Throws: `Failure(.restoreFailed)` when there is none.
    public func staged(_ place: RestorePlace, journal: any RestoreJournal) async throws -> String {
        let record = try await read(journal)
        let path = stagedPath(place)
        guard record.phase == .staged, let new = record.new, FolderExchange.inode(path) == new else {
            throw Failure(.restoreFailed, "nothing is staged of '\(source)'", hint: "Restore again.")
        }
        return path
    }

    /// Exchanges the folders while the server is stopped; a server that does not come up gets its old folder back.
    ///
    /// - Parameter check: looks at the started server, and throws when it is not what it should be. Called only when
    ///   'start' started it.
    public func promote(
        _ place: RestorePlace, journal: any RestoreJournal, check: @escaping @Sendable () async throws -> Void
    ) async throws {
        var record = try await read(journal)
        guard record.phase != .promoted else { return }
        guard [.staged, .promoting].contains(record.phase), let new = record.new else {
            throw Failure(.restoreFailed, "nothing is staged of '\(source)'")
        }
        guard let target = record.target else {
            throw Failure(
                .restoreBlocked, "nobody said where the data of '\(source)' lives, so nothing can be put in place",
                hint: "Stop the server, put '\(stagedPath(place))' where its data was, start it; or set "
                    + "'restore.data-directory' and restore again.")
        }
        try await halt(target)
        if record.phase == .staged { record.old = FolderExchange.inode(target) }
        record.phase = .promoting
        try await write(record, journal)
        let exchange = FolderExchange(target, restoreID: place.restoreID)
        await journal.note("exchanging '\(target)'")
        let old = record.old
        try await Blocking.run { try exchange.forward(new: new, old: old) }
        do {
            if try await begin() { try await check() }
        } catch {
            await journal.note("the server does not do with the restored data; putting the old back")
            let (restore, place) = (self, place)
            // Also when this task was cancelled: the server must not stay stopped.
            try await Task { try await restore.rollBack(place, journal: journal) }.value
            throw error
        }
        record.phase = .promoted
        try await write(record, journal)
        if start == nil, launch == nil { await journal.note("start the server now") }
    }

    public func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await read(journal)
        switch record.phase {
        case .rolledBack: return
        case .settled: throw Failure(.restoreFailed, "the old data of '\(source)' is gone: it was settled")
        case .none, .staging, .staged, .abandoned: return try await abandon(place, journal: journal)
        case .promoting, .promoted, .rollingBack: break
        }
        guard let target = record.target, let new = record.new else {
            throw Failure(.stateDamaged, "the journal of the restore of '\(source)' is damaged")
        }
        let exchange = FolderExchange(target, restoreID: place.restoreID)
        let old = record.old
        if FolderExchange.inode(target) == new { try await halt(target) }
        record.phase = .rollingBack
        try await write(record, journal)
        try await Blocking.run {
            try exchange.back(new: new, old: old)
            try FolderExchange.remove(exchange.staged)
        }
        if old != nil { _ = try await begin() }
        record.phase = .rolledBack
        try await write(record, journal)
    }

    public func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await read(journal)
        guard ![.promoting, .promoted, .rollingBack, .settled].contains(record.phase) else {
            throw Failure(
                .restoreFailed, "the restore of '\(source)' was promoted already", hint: "Roll it back instead.")
        }
        let path = record.target.map { FolderExchange($0, restoreID: place.restoreID).staged } ?? stagedPath(place)
        try await Blocking.run { try FolderExchange.remove(path) }
        record.phase = .abandoned
        try await write(record, journal)
    }

    public func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await read(journal)
        guard [.promoted, .settled].contains(record.phase), let target = record.target else {
            throw Failure(.restoreFailed, "the restore of '\(source)' is not promoted")
        }
        record.phase = .settled
        try await write(record, journal)
        try await Blocking.run { try FolderExchange.remove(FolderExchange(target, restoreID: place.restoreID).before) }
    }

    // MARK: - Server

    /// Stops the server, and makes sure: nobody answers, and nobody has a file of it open. A server closes its port before it
    /// has written its last.
    private func halt(_ target: String) async throws {
        if let stop { try await run(stop) }
        let deadline = ContinuousClock.now + .seconds(stop == nil ? 1 : 60)
        while true {
            let answers = await isAnswering()
            let users = try await Blocking.run { FolderUsers.find(target) }
            if !answers, users.isEmpty { return }
            guard ContinuousClock.now < deadline else {
                let words = users.isEmpty ? "" : ": " + users.joined(separator: ", ")
                throw Failure(
                    .restoreBlocked, "the server still runs on '\(target)'\(words)",
                    hint: "Stop it, then promote or roll back again; or name the program that does in 'restore.stop'.")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Starts the server and waits until it answers; false when somebody else has to.
    private func begin() async throws -> Bool {
        if let launch {
            try await launch()
            return true
        }
        guard let start else { return false }
        try await run(start)
        for _ in 0..<600 {
            if await isAnswering() { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw Failure(
            .restoreFailed, "the server does not answer a minute after it was started", hint: "Look at its log.")
    }

    private func run(_ words: [String]) async throws {
        let program = Program(words[0], Array(words.dropFirst()))
        let (_, exit) = try await transport.outputAndExit(of: program, limit: 1 << 20)
        guard exit.isSuccess else {
            throw Failure(.restoreFailed, "\(program.commandLine) failed (\(exit.status)): \(exit.lastWords)")
        }
    }

    // MARK: - Journal

    private func read(_ journal: any RestoreJournal) async throws -> FolderRecord {
        let value = await journal.recorded
        if value == .null { return FolderRecord() }
        do {
            return try JSONDecoder().decode(FolderRecord.self, from: try JSONEncoder().encode(value))
        } catch { throw Failure(.stateDamaged, "the journal of the restore cannot be read") }
    }

    private func write(_ record: FolderRecord, _ journal: any RestoreJournal) async throws {
        try await journal.record(try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(record)))
    }
}
