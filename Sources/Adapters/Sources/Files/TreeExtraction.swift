// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem

/// Brings a stream and its base into one tree: only the bytes that are needed are read, every member is held against the
/// list, every digest compared.
struct TreeExtraction: Sendable {
    var stream: any StoredStream
    var members: EffectiveMembers
    var selection: TreeSelection
    var destinations: [ExtractionDestination]
    var rules: ExtractionRules

    /// One archive to be read.
    private struct Part: Sendable {
        var origin: EffectiveMembers.Origin
        var stream: any StoredStream
        var table: MemberTable
        var choices: [TreeSelection.Choice]
        var ranges: [Range<UInt64>]?
        var source = PushedSource()
    }

    /// - Throws: `Failure(.integrity)` for anything that is not as listed, `Failure(.restoreFailed)` for what cannot be
    ///   written.
    func run() async throws -> (report: ExtractionReport, attributes: MemberAttributes) {
        var parts: [Part] = []
        if let base = stream.base, let table = members.base, selection.base.contains(where: { $0 != .skip }) {
            parts.append(
                Part(
                    origin: .base, stream: base, table: table, choices: selection.base,
                    ranges: try TreeSelection.ranges(table, selection.base)))
        }
        if selection.own.contains(where: { $0 != .skip }) {
            parts.append(
                Part(
                    origin: .own, stream: stream, table: members.own, choices: selection.own,
                    ranges: try TreeSelection.ranges(members.own, selection.own)))
        }
        let all = parts
        do {
            return try await withTaskCancellationHandler {
                async let fed: Void = Self.feed(all)
                let result: (ExtractionReport, MemberAttributes)
                do {
                    result = try await Blocking.run {
                        defer { for part in all { part.source.close() } }
                        return try extract(all)
                    }
                } catch {
                    // The feeder either gave the reader this error or stopped because of it.
                    try? await fed
                    throw error
                }
                try await fed
                return result
            } onCancel: {
                for part in all { part.source.fail(CancellationError()) }
            }
        } catch let error as SystemError {
            throw Failure(error.isNoSpace ? .localSpace : .restoreFailed, "unable to write: \(error)")
        } catch let error as ArchiveError {
            throw Failure(.integrity, "stream '\(stream.name)': \(error)")
        }
    }

    private static func feed(_ parts: [Part]) async throws {
        for part in parts {
            do {
                if let ranges = part.ranges {
                    for range in ranges { try await part.stream.read(range) { try part.source.write($0) } }
                    // Members one after the other are an archive as soon as the end marker follows.
                    try await Blocking.run { try part.source.write([UInt8](repeating: 0, count: 1024)) }
                } else {
                    try await part.stream.read(nil) { try part.source.write($0) }
                }
                part.source.finish()
            } catch {
                for part in parts { part.source.fail(error) }
                throw error
            }
        }
    }

    private func extract(_ parts: [Part]) throws -> (ExtractionReport, MemberAttributes) {
        let extractor = TreeExtractor(into: destinations, rules: rules)
        var auxiliaries: [[UInt8]] = []
        var attributes = MemberAttributes()
        for part in parts {
            let guide = MemberGuide(part.table, part.choices, isIncremental: part.stream.storage == .incremental) {
                attributes.add($0, part.origin, member: $1)
            }
            try extractor.extract(
                try TarReader(part.source), decide: guide.decide, finished: guide.finished)
            if extractor.report.refused.isEmpty { try guide.requireComplete() }
            auxiliaries += guide.auxiliaries
        }
        for path in auxiliaries { try extractor.remove(path) }
        try extractor.finish()
        return (extractor.report, attributes)
    }
}

extension SystemError {
    /// Whether the file system or the quota is full.
    var isNoSpace: Bool { code == 28 || code == 122 }
}

/// Holds the members of an archive against their list as they come by.
final class MemberGuide {
    /// Members to be removed again.
    private(set) var auxiliaries: [[UInt8]] = []
    private var cursor: MemberCursor
    private var index = -1
    private let choices: [TreeSelection.Choice]
    private let isIncremental: Bool
    private let note: (TarHeader, Int) -> Void
    private var extracted = 0

    /// - Parameter note: called for every member that was extracted, with its index in the list.
    init(
        _ table: MemberTable, _ choices: [TreeSelection.Choice], isIncremental: Bool,
        note: @escaping (TarHeader, Int) -> Void
    ) {
        self.note = note

        cursor = table.makeCursor()
        self.choices = choices
        self.isIncremental = isIncremental
    }

    func decide(_ header: TarHeader) throws -> ExtractionDecision {
        if isIncremental, index < 0, header.path == TreeCapture.deletionList { return .skip }
        repeat {
            guard try cursor.advance() else {
                throw Failure(
                    .integrity, "the archive holds '\(PathText.display(header.path))', which its list does not")
            }
            index += 1
        } while !cursor.withPath { $0.elementsEqual(header.path) }
        guard cursor.kind == header.memberKind, cursor.size == header.size, cursor.mode & 0o6000 == header.mode & 0o6000
        else {
            throw Failure(.integrity, "'\(PathText.display(header.path))' in the archive is not as its list says")
        }
        switch choices[index] {
        case .skip: return .skip
        case .wanted, .leading: break
        case .auxiliary: auxiliaries.append(header.path)
        }
        return .extract(digest: header.kind == .file)
    }

    func finished(_ header: TarHeader, _ digest: SHA256Digest?) throws {
        extracted += 1
        note(header, index)
        guard header.kind == .file, let expected = cursor.sha256 else { return }
        guard digest == expected else {
            throw Failure(
                .integrity, "the content of '\(PathText.display(header.path))' is not what was captured")
        }
    }

    /// Throws unless every chosen member came by.
    func requireComplete() throws {
        let wanted = choices.count { $0 != .skip }
        guard extracted == wanted else {
            throw Failure(.integrity, "the archive holds \(extracted) of the \(wanted) members that its list names")
        }
    }
}
