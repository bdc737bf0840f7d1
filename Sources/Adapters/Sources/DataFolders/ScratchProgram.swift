// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain

/// A throw-away server that runs only while something is asked of it, and is ended whatever comes of that.
public enum ScratchProgram {
    private struct Answered<Result: Sendable>: Error {
        var result: Result
    }

    private struct Ended: Error {}

    /// Starts `program`, does `body`, and ends the program (TERM, then KILL, its whole group). `body` is cancelled when the
    /// program ends by itself.
    ///
    /// - Throws: what `body` throws, and `Failure(.restoreFailed)` with the program's last words when it ends by itself.
    public static func run<Result: Sendable>(
        _ program: Program, _ transport: any Transport, _ body: @escaping @Sendable () async throws -> Result
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
                .restoreFailed, "\(program.name) ended by itself (\(exit.status)): \(exit.lastWords)",
                hint: "The live server was not touched.")
        } catch let answer as Answered<Result> {
            return answer.result
        }
    }
}
