// SPDX-License-Identifier: Apache-2.0

/// One source as its adapter sees it. Made from the plan's settings by the adapter's factory; holds no connection.
///
/// A backup calls `preflight`, then `capture`. A restore calls `planRestore` (which only reads), then `stage`, `verify`,
/// `promote`, and later `settle` or `rollBack`; `abandon` undoes a stage that was never promoted. Every restore step may
/// be called again after a crash, with whatever the step last recorded in its journal, and must then finish or undo the
/// work. What ends a restore (`rollBack`, `abandon`, `settle`) gets no bundle: whatever it needs, the steps before have
/// written to the journal or the kept folder. No step blocks a cooperative thread.
public protocol SourceAdapter: Sendable {
    /// Everything that would make tonight's capture fail: reachable, versions, privileges, tools, space. Only reads.
    func preflight() async -> [Check]

    /// Takes one consistent copy. What was frozen on the server is released before this returns, also on failure and
    /// cancellation.
    func capture(into sink: any CaptureSink) async throws -> CaptureReport

    /// What a restore would do, in detail. Only reads, also from the target.
    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan

    /// Restores beside the live system, touching nothing of it.
    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws

    /// Counts the staged copy and compares; the caller refuses to promote unless all facts are equal.
    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison]

    /// Puts the staged copy in the live one's place, as atomically as the system allows, and keeps the old one.
    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws

    /// Puts the old state back after a promotion, also after half a one.
    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws

    /// Removes what a stage left beside the live system, when it was never promoted.
    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws

    /// Removes the old state after a promotion; from then on there is no rolling back.
    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws
}

/// One finding of a preflight or of doctor.
public struct Check: Sendable, Equatable, Codable {
    /// How bad it is.
    public enum State: String, Sendable, Codable {
        case ok
        case warning
        case failed
    }

    /// What was looked at, such as `connection` or `pg_dump version`.
    public var name: String
    public var state: State
    /// What was found.
    public var detail: String
    /// What to do about it; nil when all is well.
    public var remedy: String?
    /// For failed checks: which failure this amounts to, for the exit status.
    public var code: String?

    public init(_ name: String, _ state: State, _ detail: String, remedy: String? = nil, code: Failure.Code? = nil) {
        self.name = name
        self.state = state
        self.detail = detail
        self.remedy = remedy
        self.code = code?.text
    }
}

/// What an adapter is made with.
public struct AdapterEnvironment: Sendable {
    /// The source's settings from the plan.
    public var source: SourceSettings
    public var transport: any Transport
    public var secrets: any SecretResolver
    public var clock: any WallClock
    /// What earlier runs made beside the source and have not removed.
    public var freezeNotes: any FreezeNotes
    /// Makes the transport of a part of the source (a node of a ring) from its own `transport` setting, read as strictly
    /// as the source's; nil: parts are reached as the source is.
    public var partTransport: (@Sendable (ConfigNode) throws -> any Transport)?

    /// Without `freezeNotes`, notes last as long as the process.
    public init(
        source: SourceSettings, transport: any Transport, secrets: any SecretResolver, clock: any WallClock,
        freezeNotes: any FreezeNotes = MemoryFreezeNotes(),
        partTransport: (@Sendable (ConfigNode) throws -> any Transport)? = nil
    ) {
        self.source = source
        self.transport = transport
        self.secrets = secrets
        self.clock = clock
        self.freezeNotes = freezeNotes
        self.partTransport = partTransport
    }

    /// The transport of a part of the source.
    ///
    /// - Throws: `Failure(.configuration)` with its place.
    public func transport(ofPart node: ConfigNode) throws -> any Transport {
        if let partTransport { return try partTransport(node) }
        if case .scalar("local", _, _) = node, transport.reachesLocalFiles { return transport }
        throw Failure(
            .configuration, "\(node.mark): a part of source '\(source.name)' cannot have a transport of its own here",
            hint: "Leave it out: the source's own transport counts.")
    }
}

/// Registered once per kind of system, in one table.
public protocol SourceAdapterFactory: Sendable {
    /// The kind as plans name it, such as `postgresql`.
    var kind: String { get }
    /// Whether the source holds data rather than configuration, secrets or logs (`restore --data-only`).
    var isData: Bool { get }
    /// Whether such a source may be marked as a search index (`index: true`): a restore puts it in place in one step, and
    /// one command puts the old one back, so that it can be tried on the live system.
    var canBeIndex: Bool { get }
    /// What a drill can ask such a source; empty: it cannot be drilled.
    var drilling: DrillQuestions { get }
    /// Why such sources are not drilled; nil: they are, or there is nothing particular to say.
    var drillRefusal: DrillRefusal? { get }
    /// Whether a drill takes a program that the plan names (`drill.restore`).
    var drillsByProgram: Bool { get }
    /// A JSON Schema (draft 2020-12) object for the adapter's own settings.
    var settingsSchema: JSONValue { get }
    /// Reads the settings strictly and makes the adapter; reaches nothing yet.
    func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter
}

extension SourceAdapterFactory {
    public var canBeIndex: Bool { false }

    public var drilling: DrillQuestions { [] }

    public var drillRefusal: DrillRefusal? { nil }

    public var drillsByProgram: Bool { false }
}
