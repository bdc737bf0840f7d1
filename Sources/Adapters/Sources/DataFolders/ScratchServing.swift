// SPDX-License-Identifier: Apache-2.0
public import Domain
import Synchronization

/// Throw-away servers that are started in the course of something, and ended with it.
public final class ScratchServing: Sendable {
    private let transport: any Transport
    private let tasks = Mutex<[Task<Void, Never>]>([])
    /// Why a server ended by itself after it was ready.
    private let early = Mutex<(any Error)?>(nil)

    private final class Flag: Sendable {
        private let value = Atomic<Bool>(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set() { value.store(true, ordering: .relaxed) }
    }

    private init(_ transport: any Transport) { self.transport = transport }

    /// Does `body`; whatever it started is gone when this returns.
    ///
    /// - Throws: what `body` throws, and `Failure(.restoreFailed)` when a server ended by itself meanwhile.
    public static func during<Result: Sendable>(
        _ transport: any Transport, _ body: @escaping @Sendable (ScratchServing) async throws -> Result
    ) async throws -> Result {
        let serving = ScratchServing(transport)
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await body(serving)) } catch {
            // A server that is gone is why the body failed, unless somebody wanted it to end; its end may be told later than
            // it is felt.
            for _ in 0..<20 where !(error is CancellationError) && serving.failure == nil {
                // Whoever cancels this is not kept waiting.
                do { try await Task.sleep(for: .milliseconds(25)) } catch { break }
            }
            result = .failure(error is CancellationError ? error : serving.failure ?? error)
        }
        await serving.end()
        if case .success = result, let failure = serving.failure { throw failure }
        return try result.get()
    }

    private var failure: (any Error)? { early.withLock { $0 } }

    /// Starts a server and waits for it.
    ///
    /// - Parameters:
    ///   - name: what the server is called in messages.
    ///   - ready: returns when the server answers.
    /// - Throws: what `ready` throws, and `Failure` when the server cannot be started or ends before.
    public func start(
        _ program: Program, named name: String, until ready: @escaping @Sendable () async throws -> Void
    ) async throws {
        let (signals, signal) = AsyncThrowingStream<Void, any Error>.makeStream()
        let isReady = Flag()
        let task = Task { [transport] in
            do {
                try await ScratchProgram.run(program, named: name, transport) {
                    try await ready()
                    isReady.set()
                    signal.finish()
                    // Years: until it is cancelled.
                    try await Task.sleep(for: .seconds(300_000_000))
                }
            } catch {
                if isReady.isSet, !(error is CancellationError) {
                    self.early.withLock { $0 = $0 ?? error }
                }
                signal.finish(throwing: error)
            }
        }
        tasks.withLock { $0.append(task) }
        for try await _ in signals {}
        try Task.checkCancellation()
    }

    private func end() async {
        let tasks = tasks.withLock { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }
}
