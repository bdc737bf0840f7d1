// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization

extension CommandAdapter {
    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let programs = try await programs()
        var engine = programs.program(settings.run).name
        if let version = settings.version {
            let text = String(decoding: try await programs.run(version, .sourceFailed), as: UTF8.self)
            guard let line = text.split(whereSeparator: \.isNewline).first else {
                throw Failure(.sourceFailed, "\(version[0]) printed no version", hint: "Correct 'capture.version'.")
            }
            engine = String(line.prefix(200))
        }
        let settings = settings
        let counted = Mutex<Facts>(Facts())
        let receipt = try await sink.raw(Self.stream, fileName: settings.fileName, estimatedBytes: nil) { output in
            let (end, facts) = try await CommandReading(settings: settings, programs: programs).run(into: output)
            counted.withLock { $0 = facts }
            return end
        }
        var facts = counted.withLock { $0 }
        facts["bytes"] = .count(Int64(receipt.length))
        facts["sha256"] = .text(receipt.sha256.description)
        return CaptureReport(
            engine: engine, facts: facts, restoreData: ["program": .string(settings.run[0])],
            notices: settings.end == nil && settings.check == nil
                ? ["only the exit status of '\(settings.run[0])' says that its output is whole"] : [])
    }
}

/// One run of the program whose output is stored.
struct CommandReading: Sendable {
    let settings: CommandSettings
    let programs: CommandPrograms

    /// Passes the output on while the check and the count read along.
    ///
    /// - Throws: `Failure(.sourceFailed)` unless everything says that the output is whole.
    func run(into sink: any ByteSink) async throws -> (StreamEnd, Facts) {
        let program = programs.program(settings.run)
        let tail = Mutex<[UInt8]>([])
        let ((end, exit), endings) = try await programs.reading([settings.check, settings.count].compactMap { $0 }) {
            readers in
            try await programs.transport.stream(program) { bytes in
                try sink.write(bytes)
                for reader in readers { reader.write(bytes) }
                tail.withLock { tail in
                    tail.append(contentsOf: bytes.suffix(64 << 10))
                    if tail.count > 128 << 10 { tail.removeFirst(tail.count - 64 << 10) }
                }
            }
        }
        guard exit.isSuccess else {
            throw programs.failure(
                exit, of: program, .sourceFailed,
                hint: "Nothing of its \(end.length) bytes is stored; run it by hand to see.")
        }
        guard end.length > 0 || settings.mayBeEmpty else {
            throw Failure(
                .sourceFailed, "\(program.name) ended with 0 and printed nothing",
                hint: "If that can be right, set 'capture.may-be-empty: true'.")
        }
        if let pattern = settings.end {
            let last = Self.lastLine(tail.withLock { $0 })
            guard LinePattern(pattern).matches(last) else {
                throw Failure(
                    .sourceFailed,
                    "the output of \(program.name) does not end as it should: its last line is not '\(pattern)'",
                    hint: "It was cut off after \(end.length) bytes, or 'capture.end' is wrong.")
            }
        }
        var facts = Facts()
        for (index, ending) in endings.enumerated() {
            guard ending.exit.isSuccess else {
                throw programs.failure(
                    ending.exit, of: ending.program, .sourceFailed,
                    hint: "It did not accept the output of '\(program.name)', so nothing is stored.")
            }
            if index == endings.count - 1, settings.count != nil {
                facts = try CommandCounts.facts(ending.output, of: ending.program)
            }
        }
        return (end, facts)
    }

    /// The last line with something in it.
    static func lastLine(_ tail: [UInt8]) -> String {
        let trimmed = tail.reversed().drop { $0 <= 0x20 }.reversed()
        let line = Array(trimmed).split(separator: UInt8(ascii: "\n")).last ?? []
        return String(decoding: line, as: UTF8.self)
    }
}

/// A line, exact or with `*` for any text.
struct LinePattern: Sendable {
    private let parts: [Substring]

    init(_ text: String) { parts = text.split(separator: "*", omittingEmptySubsequences: false) }

    /// Whether the whole line fits.
    func matches(_ line: String) -> Bool {
        guard let first = parts.first, let last = parts.last, parts.count > 1 else {
            return parts.first.map { $0 == line } ?? line.isEmpty
        }
        guard line.hasPrefix(first), line.count >= first.count + last.count else { return false }
        var rest = line.dropFirst(first.count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.range(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return rest.hasSuffix(last)
    }
}
