// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Settings of a source as a plan would have them, for tests of one adapter.
public enum AdapterSettings {
    public static let mark = ConfigMark(file: "plan.yaml", line: 3, column: 1)

    public static func text(_ value: String) -> ConfigNode { .scalar(value, isQuoted: false, mark) }

    public static func list(_ values: [String]) -> ConfigNode { .sequence(values.map(text), mark) }

    public static func mapping(_ pairs: KeyValuePairs<String, ConfigNode>) -> ConfigNode {
        .mapping(pairs.map { ($0.key, mark, $0.value) }, mark)
    }

    /// What the composition root would give an adapter.
    public static func environment(
        _ kind: String, _ settings: ConfigNode, transport: any Transport,
        freezeNotes: any FreezeNotes = MemoryFreezeNotes(), drillProgram: [String]? = nil
    ) -> AdapterEnvironment {
        AdapterEnvironment(
            source: SourceSettings(
                name: "app", adapter: kind, transport: .local, settings: settings, mark: mark,
                drillProgram: drillProgram),
            transport: transport, secrets: LiteralSecretResolver(), clock: SystemClock(), freezeNotes: freezeNotes)
    }
}

/// Gives literal secrets as they are.
public struct LiteralSecretResolver: SecretResolver {
    public init() {}

    public func resolve(_ reference: SecretReference) async throws -> String {
        guard case .literal(let text) = reference.kind else {
            throw Failure(.secretUnavailable, "only literals are known here")
        }
        return text
    }
}

/// What one capture gave, ready to be restored.
public struct CapturedSource: Sendable {
    public let report: CaptureReport
    public let capture: MemoryCapture
    public let scratch: TemporaryDirectory
    public let kept: TemporaryDirectory

    public init(_ adapter: any SourceAdapter, base: MemoryCapture? = nil) async throws {
        capture = MemoryCapture(base: base)
        report = try await adapter.capture(into: capture)
        scratch = try TemporaryDirectory("scratch")
        kept = try TemporaryDirectory("kept")
    }

    public func restore(_ id: String = "k3f9qz", include: [String] = [], rename: String? = nil) -> SourceRestore {
        SourceRestore(
            restoreID: id,
            bundle: BundleID(plan: "nightly", started: Timestamp(seconds: 1_800_000_000), suffix: "aaaaaa"),
            contents: Contents.Source(
                name: "app", engine: report.engine, facts: report.facts, restoreData: report.restoreData,
                notices: report.notices, position: report.position),
            streams: capture.streams, include: include, rename: rename, scratchDirectory: scratch.path,
            keepDirectory: kept.path)
    }
}

extension SourceAdapter {
    /// Stages, verifies and promotes; throws when a fact differs.
    public func restoreWhole(_ restore: SourceRestore, journal: any RestoreJournal = MemoryJournal()) async throws {
        try await stage(restore, journal: journal)
        let wrong = try await verify(restore, journal: journal).filter { !$0.isEqual }
        guard wrong.isEmpty else { throw Failure(.verifyFailed, "facts differ: \(wrong)") }
        try await promote(restore, journal: journal)
    }
}

/// The failure `body` throws; nil when it throws none.
public func thrownFailure(_ body: () async throws -> some Any) async -> Failure? {
    do {
        _ = try await body()
        return nil
    } catch { return error as? Failure ?? Failure(.internalError, "not a failure: \(error)") }
}
