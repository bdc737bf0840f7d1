// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization

/// A server whose databases have a snapshot each, held open: one connection for each database. Nothing is left on the
/// server when this process dies; its connections end with their psql.
struct FrozenServer: FrozenSource {
    let capturing: Capturing
    let selection: Capturing.Selected
    let held: [HeldDatabase]
    let frozen: (from: Timestamp, to: Timestamp)
    let position: String?

    /// Connects to every database first, then fixes them side by side, within milliseconds of each other.
    static func freeze(_ capturing: Capturing, _ clock: any WallClock) async throws -> FrozenServer {
        let selection = try await capturing.select()
        let opened = OpenedDatabases()
        do {
            let held = try await each(selection.names) { name in
                let database = try await HeldDatabase.open(capturing.server, name)
                opened.add(database)
                return database
            }
            let from = clock.now()
            _ = try await each(held) { database in
                do { try await database.export() } catch let failure as Failure {
                    throw failure.prefixed("database '\(database.database)'")
                }
            }
            let to = clock.now()
            // After the last snapshot: whatever a copy has was written before this position.
            let position = try await held.first?.use {
                try await $0.rows(Named.self, "SELECT \(ServerIdentity.positionQuery) AS name").first?.name
            }
            return FrozenServer(
                capturing: capturing, selection: selection, held: held, frozen: (from, to), position: position)
        } catch {
            for database in opened.all { await database.abort() }
            throw error
        }
    }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let databases = Dictionary(uniqueKeysWithValues: held.map { ($0.database, $0) })
        var report = try await capturing.run(selection, into: sink) { name in
            guard let database = databases[name] else {
                throw Failure(.internalError, "database '\(name)' is not frozen")
            }
            return try await DatabaseCapture(server: capturing.server, sink: sink, database: name).capture(database)
        }
        report.position = position
        return report
    }

    func release() async throws {
        for database in held { await database.abort() }
    }

    /// `body` for all, side by side; one that fails ends the others.
    private static func each<Item: Sendable, Result: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) async throws -> Result
    ) async throws -> [Result] {
        try await withThrowingTaskGroup(of: (Int, Result).self) { group in
            for (index, item) in items.enumerated() { group.addTask { (index, try await body(item)) } }
            var results: [(Int, Result)] = []
            for try await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }
}

/// What was opened so far, so that a failure leaves nothing open.
private final class OpenedDatabases: Sendable {
    private let databases = Mutex<[HeldDatabase]>([])

    var all: [HeldDatabase] { databases.withLock { $0 } }

    func add(_ database: HeldDatabase) { databases.withLock { $0.append(database) } }
}

extension PostgreSQLAdapter: FreezingAdapter {
    func freeze() async throws -> any FrozenSource {
        try await FrozenServer.freeze(
            try await Capturing(server: try await Server.reach(environment, settings)), environment.clock)
    }
}
