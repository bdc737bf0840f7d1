// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PostgreSQL
import TestSupport
import Transports

/// A source made of plan settings, as the composition root would make it.
struct Fixture: Sendable {
    struct Clock: WallClock {
        func now() -> Timestamp { Timestamp(seconds: 1_800_000_000) }
    }

    /// Gives literal secrets as they are.
    struct Secrets: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String {
            guard case .literal(let text) = reference.kind else {
                throw Failure(.secretUnavailable, "only literals are known here")
            }
            return text
        }
    }

    static let mark = ConfigMark(file: "plan.yaml", line: 3, column: 1)

    static func text(_ value: String) -> ConfigNode { .scalar(value, isQuoted: false, mark) }

    static func list(_ values: [String]) -> ConfigNode { .sequence(values.map(text), mark) }

    static func mapping(_ pairs: KeyValuePairs<String, ConfigNode>) -> ConfigNode {
        .mapping(pairs.map { ($0.key, mark, $0.value) }, mark)
    }

    /// An adapter for `server` over TCP with a password, with `settings` besides the connection.
    static func adapter(
        _ server: ThrowawayPostgreSQL, user: String = "postgres", password: String = ThrowawayPostgreSQL.password,
        programs: String? = nil, namesPrograms: Bool = true, transport: any Transport = LocalTransport(),
        security: [(String, String)] = [], _ settings: KeyValuePairs<String, ConfigNode> = [:]
    ) throws -> any SourceAdapter {
        let reach = [
            ("host", "127.0.0.1"), ("port", String(server.port)), ("user", user), ("password", password),
        ]
        let connection = ConfigNode.mapping((reach + security).map { ($0.0, mark, text($0.1)) }, mark)
        var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = [
            ("connection", mark, connection)
        ]
        if namesPrograms { pairs.append(("programs", mark, text(programs ?? server.binaries))) }
        pairs += settings.map { ($0.key, mark, $0.value) }
        return try PostgreSQLFactory().make(
            AdapterEnvironment(
                source: SourceSettings(
                    name: "db", adapter: "postgresql", transport: .local, settings: .mapping(pairs, mark), mark: mark),
                transport: transport, secrets: Secrets(), clock: Clock()))
    }
}

/// What one capture gave, ready to be restored.
struct Captured: Sendable {
    let report: CaptureReport
    let capture: MemoryCapture
    let scratch: TemporaryDirectory

    init(_ adapter: any SourceAdapter) async throws {
        capture = MemoryCapture()
        report = try await adapter.capture(into: capture)
        scratch = try TemporaryDirectory("scratch")
    }

    func restore(_ id: String = "k3f9qz", include: [String] = [], rename: String? = nil) -> SourceRestore {
        SourceRestore(
            restoreID: id,
            bundle: BundleID(plan: "nightly", started: Timestamp(seconds: 1_800_000_000), suffix: "aaaaaa"),
            contents: Contents.Source(
                name: "db", engine: report.engine, facts: report.facts, restoreData: report.restoreData,
                notices: report.notices, position: report.position),
            streams: capture.streams, include: include, rename: rename, scratchDirectory: scratch.path)
    }
}

extension SourceAdapter {
    /// Stages, verifies and promotes; throws when a fact differs.
    func restoreWhole(_ restore: SourceRestore, journal: any RestoreJournal = MemoryJournal()) async throws {
        try await stage(restore, journal: journal)
        let wrong = try await verify(restore, journal: journal).filter { !$0.isEqual }
        guard wrong.isEmpty else { throw Failure(.verifyFailed, "facts differ: \(wrong)") }
        try await promote(restore, journal: journal)
    }
}

/// Runs `body` with servers of the given majors and stops them afterwards, whatever happens.
func withServers<Result: Sendable>(
    _ majors: Int..., body: @Sendable ([ThrowawayPostgreSQL]) async throws -> Result
) async throws -> Result {
    var servers: [ThrowawayPostgreSQL] = []
    let result: Swift.Result<Result, any Error>
    do {
        for major in majors { servers.append(try await ThrowawayPostgreSQL.start(major: major)) }
        result = .success(try await body(servers))
    } catch { result = .failure(error) }
    for server in servers { try await server.stop() }
    return try result.get()
}

/// The failure `body` throws; nil when it throws none.
func failure(of body: () async throws -> some Any) async -> Failure? {
    do {
        _ = try await body()
        return nil
    } catch { return error as? Failure ?? Failure(.internalError, "not a failure: \(error)") }
}
