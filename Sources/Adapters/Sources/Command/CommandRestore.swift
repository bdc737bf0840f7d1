// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc

/// How far the restore of one source is, as its journal keeps it.
struct CommandRecord: Codable, Sendable, Equatable {
    enum Phase: String, Codable, Sendable {
        case none, staging, staged, promoting, promoted
        case rollingBack = "rolling-back"
        case rolledBack = "rolled-back"
        case abandoned, settled
    }

    var phase = Phase.none
    /// What the programs were told as `{target}`.
    var target: String?
    /// What was handed to the staging program, or spooled.
    var bytes: UInt64 = 0
    var sha256 = ""

    static func read(_ journal: any RestoreJournal) async throws -> CommandRecord {
        let value = await journal.recorded
        if value == .null { return CommandRecord() }
        do {
            return try JSONDecoder().decode(CommandRecord.self, from: try JSONEncoder().encode(value))
        } catch { throw Failure(.stateDamaged, "the journal of the restore cannot be read") }
    }

    func write(to journal: any RestoreJournal) async throws {
        try await journal.record(try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(self)))
    }
}

extension CommandAdapter {
    /// Where the stream waits for the program that takes it back. That program sees no end of input before everything has
    /// been checked: half a stream that ends quietly would be taken for all of it.
    private static func spool(_ place: RestorePlace) -> String { place.scratchDirectory + "/output" }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let stream = try restore.stream(Self.stream)
        let programs = try await programs(restore.place, target: restore.rename)
        func line(_ vector: [String]) -> String { programs.program(vector).commandLine }
        var plan = SourceRestorePlan(
            target: "\(settings.restore[0]) through \(environment.transport.description)",
            origin: restore.contents.engine)
        plan.bytesNeeded = stream.receipt.length
        plan.bytesFree = SpoolFile.freeBytes(restore.scratchDirectory)
        if let free = plan.bytesFree, free < stream.receipt.length {
            plan.blockers.append(
                "'\(restore.scratchDirectory)' has \(free) bytes free, the copy takes \(stream.receipt.length)")
        }
        if !restore.include.isEmpty {
            plan.blockers.append("a program's output is restored as a whole: '--include' selects nothing in it")
        }
        let takesTarget = settings.programs.contains { key, words in
            key.hasPrefix("restore.") && words.contains { $0.contains("{target}") }
        }
        if restore.rename != nil, !takesTarget {
            plan.blockers.append(
                "no program of 'restore' takes another place: '{target}' is in none of their arguments")
        }
        plan.steps.append(.init("stage", "write the checked copy to \(Self.spool(restore.place))"))
        if let stage = settings.stage {
            plan.steps.append(.init("stage", "put it beside", command: line(stage)))
            if settings.abandon == nil {
                plan.warnings.append("there is no 'abandon' program: what 'stage' makes has to be removed by hand")
            }
        } else {
            plan.warnings.append(
                "there is no 'stage' program: the first that anybody sees of the copy is when 'run' replaces the live data"
            )
        }
        plan.steps.append(.init("verify", "compare length and digest with what was captured"))
        if let check = settings.check { plan.steps.append(.init("verify", "check it again", command: line(check))) }
        if let count = settings.countStaged { plan.steps.append(.init("verify", "count it", command: line(count))) }
        if let verify = settings.verify { plan.steps.append(.init("verify", "look at it", command: line(verify))) }
        plan.steps.append(
            settings.promote.map { .init("promote", "put the staged copy in place", command: line($0)) }
                ?? .init("promote", "hand the copy over", command: line(settings.restore)))
        plan.replaces = ["whatever \((settings.promote ?? settings.restore)[0]) replaces"]
        if settings.rollBack == nil {
            plan.warnings.append(
                "there is no 'roll-back' program: a promotion can be undone only by restoring an earlier bundle")
        }
        return plan
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var record = try await CommandRecord.read(journal)
        guard [.none, .staging, .staged].contains(record.phase) else {
            throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' is past its staging")
        }
        if record.phase == .staged, access(Self.spool(restore.place), R_OK) == 0 { return }
        let plan = try await planRestore(restore)
        guard plan.blockers.isEmpty else {
            throw Failure(.restoreBlocked, "the restore is not possible: \(plan.blockers.joined(separator: "; "))")
        }
        record.target = restore.rename
        let programs = try await programs(restore.place, target: record.target)
        // Half a stage of an attempt that was killed.
        if record.phase == .staging, let abandon = settings.abandon { try await programs.run(abandon, .restoreFailed) }
        record.phase = .staging
        try await record.write(to: journal)
        let stream = try restore.stream(Self.stream)
        let path = Self.spool(restore.place)
        let file = try await Blocking.run { try SpoolFile(path) }
        try await stream.read(nil) { try file.write($0) }
        let receipt = try await Blocking.run { try file.finish() }
        (record.bytes, record.sha256) = (receipt.length, receipt.sha256.description)
        if let stage = settings.stage {
            await journal.note("staging '\(environment.source.name)' with \(stage[0])")
            try await feed(path, to: stage, programs)
        }
        record.phase = .staged
        try await record.write(to: journal)
    }

    /// Runs a program with the spooled stream on its standard input.
    private func feed(_ path: String, to vector: [String], _ programs: CommandPrograms) async throws {
        let (length, endings) = try await programs.reading([vector]) { readers in
            try await CancellationFlag.run { flag in
                try SpoolFile.forEachChunk(of: path) { chunk in
                    try flag.check()
                    for reader in readers { reader.write(chunk) }
                }
            }
        }
        for ending in endings {
            guard ending.exit.isSuccess else { throw programs.failure(ending.exit, of: ending.program, .restoreFailed) }
            guard !ending.stoppedEarly else {
                throw Failure(
                    .restoreFailed, "\(ending.program.name) ended with 0 and had not read all of the \(length) bytes",
                    hint: "A program that takes a copy back has to read it to its end.")
            }
        }
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        let record = try await CommandRecord.read(journal)
        guard record.phase == .staged else {
            throw Failure(.restoreFailed, "nothing is staged of '\(environment.source.name)'", hint: "Restore again.")
        }
        let programs = try await programs(restore.place, target: record.target)
        var recorded = restore.contents.facts
        var found = Facts(["bytes": .count(Int64(record.bytes)), "sha256": .text(record.sha256)])
        let path = Self.spool(restore.place)
        let vectors = [settings.check, settings.stage == nil ? settings.count : nil].compactMap { $0 }
        let (_, endings) = try await programs.reading(vectors) { readers in
            try await CancellationFlag.run { flag in
                try SpoolFile.forEachChunk(of: path) { chunk in
                    try flag.check()
                    for reader in readers { reader.write(chunk) }
                }
            }
        }
        for ending in endings where !ending.exit.isSuccess {
            throw programs.failure(ending.exit, of: ending.program, .verifyFailed, hint: "Nothing live was touched.")
        }
        if settings.stage == nil, settings.count != nil, let last = endings.last {
            found.values.merge(try CommandCounts.facts(last.output, of: last.program).values) { _, new in new }
        } else if let count = settings.countStaged {
            let output = try await programs.run(count, .verifyFailed, hint: "Nothing live was touched.")
            found.values.merge(try CommandCounts.facts(output, of: programs.program(count)).values) { _, new in new }
        } else if recorded.values.keys.contains(where: { $0.hasPrefix("count") }) {
            await journal.note("the staged copy was not counted: there is no 'restore.count'")
            for name in recorded.values.keys where name.hasPrefix("count") { recorded[name] = nil }
        }
        if let verify = settings.verify {
            try await programs.run(verify, .verifyFailed, hint: "Nothing live was touched.")
        }
        return recorded.compared(with: found)
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var record = try await CommandRecord.read(journal)
        guard record.phase != .promoted else { return }
        guard [.staged, .promoting].contains(record.phase) else {
            throw Failure(.restoreFailed, "nothing is staged of '\(environment.source.name)'")
        }
        let programs = try await programs(restore.place, target: record.target)
        record.phase = .promoting
        try await record.write(to: journal)
        if let promote = settings.promote {
            await journal.note("promoting '\(environment.source.name)' with \(promote[0])")
            try await programs.run(promote, .restoreFailed, hint: Self.halfway)
        } else {
            await journal.note("handing the copy of '\(environment.source.name)' to \(settings.restore[0])")
            try await feed(Self.spool(restore.place), to: settings.restore, programs)
        }
        record.phase = .promoted
        try await record.write(to: journal)
    }

    private static let halfway = "What it had done by then, only it knows: promote again, or roll the restore back."

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await CommandRecord.read(journal)
        switch record.phase {
        case .rolledBack: return
        case .settled: throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' was settled")
        case .none, .staging, .staged, .abandoned: return try await abandon(place, journal: journal)
        case .promoting, .promoted, .rollingBack: break
        }
        guard let rollBack = settings.rollBack else {
            throw Failure(
                .restoreBlocked,
                "source '\(environment.source.name)' has no 'roll-back' program: nobody kept its old state",
                hint: "Restore the safety bundle that was taken before the promotion, or an earlier one.")
        }
        record.phase = .rollingBack
        try await record.write(to: journal)
        try await programs(place, target: record.target).run(rollBack, .restoreFailed, hint: Self.halfway)
        record.phase = .rolledBack
        try await record.write(to: journal)
        try await Blocking.run { try SpoolFile.remove(Self.spool(place)) }
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await CommandRecord.read(journal)
        guard ![.promoting, .promoted, .rollingBack, .settled].contains(record.phase) else {
            throw Failure(
                .restoreFailed, "the restore of '\(environment.source.name)' was promoted already",
                hint: "Roll it back instead.")
        }
        if [.staging, .staged].contains(record.phase), let abandon = settings.abandon {
            try await programs(place, target: record.target).run(abandon, .restoreFailed)
        }
        try await Blocking.run { try SpoolFile.remove(Self.spool(place)) }
        record.phase = .abandoned
        try await record.write(to: journal)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await CommandRecord.read(journal)
        guard [.promoted, .settled].contains(record.phase) else {
            throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' is not promoted")
        }
        if record.phase == .promoted, let settle = settings.settle {
            try await programs(place, target: record.target).run(settle, .restoreFailed)
        }
        record.phase = .settled
        try await record.write(to: journal)
        try await Blocking.run { try SpoolFile.remove(Self.spool(place)) }
    }
}
