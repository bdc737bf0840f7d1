// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization

/// Starts a source's programs, one on its own or several on one stream.
struct CommandPrograms: Sendable {
    let transport: any Transport
    let variables: [String: String]
    /// What stands in arguments, and what is put there.
    let words: [String: String]
    let secrets: [String]

    /// The program of a vector, with its placeholders filled in.
    func program(_ vector: [String]) -> Program {
        let filled = vector.map { word in
            words.reduce(word) { text, pair in
                text.components(separatedBy: pair.key).joined(separator: pair.value)
            }
        }
        return Program(filled[0], Array(filled.dropFirst()), environment: variables)
    }

    /// What a program's end other than with 0 amounts to.
    func failure(_ exit: ProgramExit, of program: Program, _ code: Failure.Code, hint: String? = nil) -> Failure {
        let words = exit.lastWords.isEmpty ? "" : ": \(redacting(exit.lastWords))"
        return Failure(code, "\(program.name) failed (\(exit.status))\(words)", hint: hint)
    }

    private func redacting(_ text: String) -> String {
        secrets.filter { $0.count >= 4 }.reduce(text) {
            $0.components(separatedBy: $1).joined(separator: "<redacted>")
        }
    }

    /// Runs a program without input.
    ///
    /// - Throws: `Failure(code)` unless it ends with 0.
    @discardableResult
    func run(_ vector: [String], _ code: Failure.Code, hint: String? = nil) async throws -> [UInt8] {
        let program = program(vector)
        let (output, exit) = try await transport.outputAndExit(of: program, limit: 1 << 20)
        guard exit.isSuccess else { throw failure(exit, of: program, code, hint: hint) }
        return output
    }

    // MARK: - Several on one stream

    /// One program that reads the stream along with others.
    final class Reader: Sendable {
        private let pipes: any ProgramPipes
        private let hasStopped = Mutex(false)

        init(_ pipes: any ProgramPipes) { self.pipes = pipes }

        /// Hands bytes over. A program may know enough before the end; its exit status then decides.
        func write(_ bytes: UnsafeRawBufferPointer) {
            guard !hasStopped.withLock({ $0 }) else { return }
            do { try pipes.write(bytes) } catch { hasStopped.withLock { $0 = true } }
        }

        /// Whether it stopped reading before the end.
        var isStopped: Bool { hasStopped.withLock { $0 } }
    }

    /// How a reader ended and what it printed.
    struct Ending: Sendable {
        var program: Program
        var output: [UInt8]
        var exit: ProgramExit
        var stoppedEarly: Bool
    }

    /// Does `body` while all of `vectors` read what it hands to the readers.
    func reading<Result: Sendable>(
        _ vectors: [[String]], _ body: @escaping @Sendable ([Reader]) async throws -> Result
    ) async throws -> (Result, [Ending]) {
        try await reading(vectors[...], [], body)
    }

    private func reading<Result: Sendable>(
        _ vectors: ArraySlice<[String]>, _ readers: [Reader],
        _ body: @escaping @Sendable ([Reader]) async throws -> Result
    ) async throws -> (Result, [Ending]) {
        guard let vector = vectors.first else { return (try await body(readers), []) }
        let program = program(vector)
        let ((result, rest, output, stopped), exit) = try await transport.run(program) { pipes in
            // Not a child task: when the body fails, nobody may wait for a program that waits for its input.
            let output = Task { try await Blocking.run { try Self.collect(pipes, of: program) } }
            let reader = Reader(pipes)
            let (result, rest) = try await reading(vectors.dropFirst(), readers + [reader], body)
            try await Blocking.run { try pipes.closeInput() }
            return (result, rest, try await output.value, reader.isStopped)
        }
        return (result, [Ending(program: program, output: output, exit: exit, stoppedEarly: stopped)] + rest)
    }

    private static func collect(_ pipes: any ProgramPipes, of program: Program) throws -> [UInt8] {
        var collected: [UInt8] = []
        try pipes.forEachChunk { chunk in
            // Whoever passes the stream on may print all of it; only the beginning is ever looked at.
            collected.append(contentsOf: chunk.prefix(max(0, (1 << 20) - collected.count)))
        }
        return collected
    }
}

/// What counting programs print: `NAME NUMBER` a line, or a number alone.
enum CommandCounts {
    /// - Throws: `Failure(.sourceFailed)` when nothing was printed.
    static func facts(_ output: [UInt8], of program: Program) throws -> Facts {
        var facts = Facts()
        for line in String(decoding: output, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard let last = words.last else { continue }
            let name = words.dropLast().joined(separator: " ")
            facts[name.isEmpty ? "count" : "count \(name)"] = Int64(last).map { .count($0) } ?? .text(String(last))
        }
        guard !facts.values.isEmpty else {
            throw Failure(
                .sourceFailed, "\(program.name) counted nothing",
                hint: "It has to print a number, or 'NAME NUMBER' lines.")
        }
        return facts
    }
}
