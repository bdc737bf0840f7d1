// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization

/// A database with a transaction open in it, beyond the call that opened it: until `end` or `abort`, or until it is let go.
final class HeldDatabase: Sendable {
    let database: String
    private let session: SnapshotSession
    private let holding: Task<Void, any Error>
    private let done: AsyncStream<Void>.Continuation
    private let exported = Mutex<String?>(nil)

    private init(
        database: String, session: SnapshotSession, holding: Task<Void, any Error>, done: AsyncStream<Void>.Continuation
    ) {
        self.database = database
        self.session = session
        self.holding = holding
        self.done = done
    }

    deinit { cancel() }

    /// Connects and opens the transaction; its snapshot is taken by `export`.
    static func open(_ server: Server, _ database: String) async throws -> HeldDatabase {
        let (done, finish) = AsyncStream.makeStream(of: Void.self)
        let (ready, announce) = AsyncStream.makeStream(of: SnapshotSession.self)
        // Not a part of the caller's task: it has to outlive this call.
        let holding = Task {
            defer { announce.finish() }
            try await SnapshotSession.run(server, database: database) { session in
                announce.yield(session)
                for await _ in done {}
                try Task.checkCancellation()
            }
        }
        return try await withTaskCancellationHandler {
            for await session in ready {
                return HeldDatabase(database: database, session: session, holding: holding, done: finish)
            }
            finish.finish()
            try await holding.value
            throw CancellationError()
        } onCancel: {
            holding.cancel()
            finish.finish()
        }
    }

    /// Fixes what the transaction sees.
    func export() async throws {
        let name = try await use { try await $0.exportSnapshot() }
        exported.withLock { $0 = name }
    }

    /// The name of the snapshot, for `pg_dump --snapshot`.
    ///
    /// - Throws: unless `export` was called.
    var snapshot: String {
        get throws {
            guard let name = exported.withLock({ $0 }) else {
                throw Failure(.internalError, "database '\(database)' has no snapshot")
            }
            return name
        }
    }

    /// Works in the transaction; one at a time. Cancelling ends the connection.
    ///
    /// - Throws: what `body` throws, and the connection's own failure when it ended by itself.
    func use<Result: Sendable>(_ body: (SnapshotSession) async throws -> Result) async throws -> Result {
        try await withTaskCancellationHandler {
            do {
                return try await body(session)
            } catch is SnapshotSession.Ended {
                try await end()
                throw Failure(.sourceFailed, "the connection to database '\(database)' ended")
            }
        } onCancel: {
            cancel()
        }
    }

    /// Ends the transaction and the connection.
    ///
    /// - Throws: the connection's failure, if it had ended by itself.
    func end() async throws {
        done.finish()
        try await holding.value
    }

    /// Ends the connection, whatever it is at.
    func abort() async {
        cancel()
        // Why it ended is known: it was told to.
        _ = await holding.result
    }

    private func cancel() {
        holding.cancel()
        done.finish()
    }
}
