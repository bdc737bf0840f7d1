// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Foundation
import Glibc

/// A throw-away server that runs only while something is asked of it, and is ended whatever comes of that.
public enum ScratchProgram {
    private struct Answered<Result: Sendable>: Error {
        var result: Result
    }

    private struct Ended: Error {}

    /// The first of the programs that is there to be run: in the order of `names`, then of `folders`, nil among which is
    /// nothing; then in PATH. Blocks.
    public static func find(_ names: [String], in folders: [String?]) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let places = folders.compactMap { $0 } + path.split(separator: ":").map(String.init)
        return names.lazy.flatMap { name in places.lazy.map { "\($0)/\(name)" } }.first { access($0, X_OK) == 0 }
    }

    /// Waits for a server to answer.
    ///
    /// - Parameter question: throws `Failure(.sourceUnreachable)` until it does.
    /// - Throws: what `question` throws otherwise, or when `seconds` are over.
    public static func waitUntilAnswering(seconds: Int = 60, _ question: () async throws -> Void) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            do { return try await question() } catch let failure as Failure {
                guard failure.code == .sourceUnreachable, ContinuousClock.now < deadline else {
                    throw failure.prefixed("the server of the drill")
                }
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Starts `program`, does `body`, and ends the program (TERM, then KILL, its whole group). `body` is cancelled when the
    /// program ends by itself.
    ///
    /// - Parameter name: what the program is called in messages, when another one starts it; nil: its own name.
    /// - Throws: what `body` throws, and `Failure(.restoreFailed)` with the program's last words when it ends by itself.
    public static func run<Result: Sendable>(
        _ program: Program, named name: String? = nil, _ transport: any Transport,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        do {
            let (_, exit) = try await transport.run(program) { pipes in
                try pipes.closeInput()
                let (output, finish) = AsyncStream.makeStream(of: Void.self)
                // Not a child task: reading ends only with the program, which ends only after this closure.
                Task {
                    // However it ends, the program says nothing any more.
                    _ = try? await Blocking.run { try pipes.forEachChunk { _ in } }
                    finish.finish()
                }
                do {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { throw Answered(result: try await body()) }
                        group.addTask {
                            for await _ in output {}
                            throw Ended()
                        }
                        // Unlike waiting for all, this ends with the first error.
                        for try await _ in group {}
                    }
                } catch is Ended {}
            }
            throw Failure(
                .restoreFailed, "\(name ?? program.name) ended by itself (\(exit.status)): \(exit.lastWords)",
                hint: "The live server was not touched.")
        } catch let answer as Answered<Result> {
            return answer.result
        }
    }
}
