// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Operations
import Repository
import Stores
import Synchronization
import TestSupport
import Testing

/// A source whose first attempts fail after they have delivered a whole stream and a part of another.
private final class Faltering: SourceAdapter {
    let good: [UInt8]
    let failures: Int
    let attempts = Mutex(0)

    init(good: [UInt8], failures: Int) {
        self.good = good
        self.failures = failures
    }

    func preflight() async -> [Check] { [Check("reachable", .ok, "yes")] }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let attempt = attempts.withLock {
            $0 += 1
            return $0
        }
        // A whole stream that the good attempt has, too, and one that it does not have.
        let junk = [UInt8](repeating: UInt8(attempt), count: 5 * TestRepository.sliceSize)
        try await deliver(attempt > failures ? Array(good.prefix(100)) : junk, "first", sink)
        guard attempt > failures else {
            try await deliver(junk, "only-junk", sink)
            try await deliver(junk, "second", sink, breaks: true)
            throw Failure(.internalError, "not reached")
        }
        try await deliver(good, "second", sink)
        return CaptureReport(engine: "Test \(attempt)", facts: Facts(["attempt": .count(Int64(attempt))]))
    }

    private func deliver(_ bytes: [UInt8], _ name: String, _ sink: any CaptureSink, breaks: Bool = false) async throws {
        _ = try await sink.raw(name, fileName: name, estimatedBytes: nil) { sink in
            try await Blocking.run {
                try sink.write(bytes)
                if breaks { throw Failure(.programFailed, "as planned") }
            }
            return StreamEnd(length: UInt64(bytes.count))
        }
    }

    private var never: Failure { Failure(.internalError, "not restored here") }
    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan { throw never }
    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws { throw never }
    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] { throw never }
    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws { throw never }
    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws { throw never }
    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws { throw never }
    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws { throw never }
}

private struct FalteringFactory: SourceAdapterFactory {
    let adapter: Faltering
    let kind = "faltering"
    let isData = true
    let settingsSchema = JSONValue.null
    func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter { adapter }
}

private struct NoSecrets: SecretResolver {
    func resolve(_ reference: SecretReference) async throws -> String { "" }
}

@Suite("Further attempts at a source")
struct RetryTests {
    private func backUp(
        _ test: TestRepository, _ adapter: Faltering, retries: Int
    ) async throws -> (manifest: Manifest, failures: [String: Failure], attempts: [String: Int]) {
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        var plan = test.plan
        plan.sources = [
            SourceSettings(
                name: "db", adapter: "faltering", transport: .local, settings: .mapping([], mark), mark: mark,
                retries: retries, retryDelay: 0)
        ]
        let registry = AdapterRegistry(
            [FalteringFactory(adapter: adapter)], secrets: NoSecrets(), clock: SystemClock()
        ) { _ in NoTransport() }
        let made = try await Backup(
            repository: test.repository, registry: registry, clock: SystemClock(), progress: NoProgress()
        ).run(Backup.Request(plan: plan, host: "test", tool: "salvor test"))
        return (made.manifest, made.failures, made.attempts)
    }

    @Test("nothing that failed attempts delivered is in the bundle or in its folder")
    func discards() async throws {
        let test = try await TestRepository.make()
        let adapter = Faltering(good: DumpText.rows(40_000), failures: 2)
        let (manifest, failures, attempts) = try await backUp(test, adapter, retries: 2)
        #expect(
            failures.isEmpty && manifest.state == .complete && attempts == ["db": 3]
                && adapter.attempts.withLock { $0 } == 3)
        #expect(manifest.sources[0].streams.map(\.name) == ["first", "second"])
        #expect(manifest.sources[0].engine == "Test 3")
        #expect(try await test.read(manifest.id, "second") == adapter.good)
        #expect(try await test.read(manifest.id, "first") == Array(adapter.good.prefix(100)))
        let table = try await test.repository.segmentTable(manifest.id)
        let named = table.streams.flatMap(\.segments).map(\.object)
        #expect(named.count == Set(named).count)
        let root = test.directory("repo/\(manifest.id.folder)")
        let stored = try test.files(manifest.id).map { String($0.dropFirst(root.count + 1)) }.filter {
            $0.hasPrefix("db/")
        }
        #expect(Set(stored) == Set(named))
        let report = try await test.repository.validate(manifest.id, level: .contents, progress: NoProgress())
        #expect(report.problems == [])
        // The next night refers to the base that the good attempt left.
        let (next, _, _) = try await backUp(test, Faltering(good: adapter.good, failures: 0), retries: 0)
        #expect(next.sources[0].streams.last?.storage == .delta)
        #expect(try await test.read(next.id, "second") == adapter.good)
    }

    @Test("when no attempt is left the source failed, with their number, and nothing is made")
    func givesUp() async throws {
        let test = try await TestRepository.make()
        let adapter = Faltering(good: [1], failures: 9)
        let failure = try await #require(throws: Failure.self) { try await backUp(test, adapter, retries: 1) }
        #expect(failure.summary == "source 'db': as planned (after 2 attempts)")
        #expect(adapter.attempts.withLock { $0 } == 2)
        #expect(try await test.repository.bundles(plan: nil).isEmpty)
    }
}

private struct NoTransport: Transport {
    var description: String { "none" }
    var reachesLocalFiles: Bool { false }
    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) { throw Failure(.programMissing, "none here") }
    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        throw Failure(.sourceUnreachable, "none here")
    }
}
