// SPDX-License-Identifier: Apache-2.0
import Domain
import Encryption
import Foundation
import LocalState
import Operations
import PlanFiles
import Reporting
import Repository
import Stores
import Transports

/// The composition root: everything a command works with, built once from the options.
struct Session: Sendable {
    let options: GlobalOptions
    private let loaded: LoadedPlans
    let clock: any WallClock
    let secrets: any SecretResolver
    let registry: AdapterRegistry
    let state: StateDirectory
    let progress: any ProgressListener
    /// Where the configuration was read, as it was given.
    let configurationPath: String
    /// This host.
    let transport: any Transport
    let redactor: SecretRedactor
    /// What this process asks of keys, mostly several times within a moment.
    private let keyring = Keyring(remembers: .seconds(10))

    init(_ options: GlobalOptions) throws {
        let environment = ProcessInfo.processInfo.environment
        self.options = options
        clock = SystemClock()
        let transport = LocalTransport()
        self.transport = transport
        redactor = SecretRedactor()
        secrets = RedactingSecretResolver(
            SystemSecretResolver(environment: environment, transport: transport), redactor)
        let path = options.config ?? environment["SALVOR_CONFIG"] ?? PlanDirectory.standardPath
        configurationPath = path
        loaded = try PlanDirectory.load(
            path, adapters: Adapters.all.map(\.kind),
            indexAdapters: Adapters.all.filter(\.canBeIndex).map(\.kind))
        let state = StateDirectory(
            options.stateDir ?? environment["SALVOR_STATE_DIR"] ?? loaded.host.stateDirectory ?? "/var/lib/salvor")
        self.state = state
        registry = AdapterRegistry(
            Adapters.all, secrets: secrets, clock: clock,
            freezeNotes: { FreezeNoteFiles(state, plan: $0.plan, source: $0.name) },
            partTransport: { TransportFactory.make(try PartTransports.read($0)) }
        ) { TransportFactory.make($0) }
        for plan in loaded.plans {
            for source in plan.sources { _ = try registry.adapter(source) }
            try GroupRules.check(plan, registry)
            try DrillRules.check(plan, registry)
        }
        progress = Self.progress(options, environment, redactor)
        if !options.quiet { loaded.warnings.forEach { Output.note("salvor: warning: \($0)") } }
    }

    /// Every plan of the configuration.
    var plans: [Plan] { loaded.plans }

    /// What the configuration warns about.
    var warnings: [String] { loaded.warnings }

    /// The file that metrics are written to after each run; nil: none.
    var metricsFile: String? { loaded.host.metricsFile }

    /// The plan of that name, or the only one.
    func plan(_ name: String?) throws -> Plan {
        try name.map { try loaded.plan(named: $0) } ?? loaded.onlyPlan()
    }

    /// The plan a bundle selector refers to: `latest:PLAN`, an id's plan if it is configured, the one named, or the only one.
    func plan(_ name: String?, for selector: String) throws -> Plan {
        if let name { return try plan(name) }
        for prefix in ["latest:", "latest-good:"] {
            if let named = selector.droppingPrefix(prefix) { return try plan(named) }
        }
        if let id = BundleID(selector), let plan = loaded.plans.first(where: { $0.name == id.plan }) { return plan }
        if loaded.plans.count > 1, let match = loaded.plans.first(where: { selector.contains("-\($0.name)") }) {
            return match
        }
        return try plan(nil)
    }

    /// The repository of a plan.
    func repository(_ plan: Plan, uploadLimit: Int? = nil, concurrency: Int? = nil) async throws -> any BundleRepository
    {
        try await format(plan, uploadLimit, concurrency)
    }

    /// The repository of a plan, with what retention needs of it.
    func retention(_ plan: Plan) async throws -> any RetentionRepository { try await format(plan) }

    /// The repository of a plan, as a place to learn whose signatures count.
    func signerRepository(_ plan: Plan) async throws -> any SignerRepository { try await format(plan) }

    /// The repository of a plan, as something to tell other hosts about.
    func handoverRepository(_ plan: Plan) async throws -> any HandoverRepository { try await format(plan) }

    /// The records of runs in the repository of a plan.
    func runRecords(_ plan: Plan) async throws -> any RunRecordRepository { try await format(plan) }

    private func format(
        _ plan: Plan, _ uploadLimit: Int? = nil, _ concurrency: Int? = nil
    ) async throws -> FormatRepository {
        let store = try await StoreFactory.make(plan.repository, secrets: secrets, uploadLimit: uploadLimit)
        let clock = clock
        return FormatRepository(
            store: store, state: state, keyring: keyring, trustedSigner: plan.encryption.signer,
            access: plan.repository.access,
            concurrency: concurrency ?? ProcessInfo.processInfo.activeProcessorCount
        ) { store, _ in try await StoreProbe.run(store, clock: clock) }
    }

    /// Restore journals of this host.
    var records: any RestoreRecords { RestoreJournals(state) }

    /// The host's name in manifests.
    var host: String { loaded.host.name ?? ProcessInfo.processInfo.hostName }

    /// Prints a command's result, with `failure` if the command ends with its status all the same.
    func print(_ value: some Encodable, command: String, failure: Failure? = nil, text: () -> String) throws {
        (progress as? TerminalProgress)?.finish()
        try Output.result(value, command: command, isJSON: options.json, failure: failure, text: text)
    }

    private static func progress(
        _ options: GlobalOptions, _ environment: [String: String], _ redactor: SecretRedactor
    ) -> any ProgressListener {
        switch options.progress {
        case .none: NoProgress()
        case .json: JSONLinesProgress(clock: SystemClock(), redactor) { Output.note($0) }
        case .auto where options.quiet: NoProgress()
        case .auto:
            TerminalProgress(StatusConsole(.of(2, environment: environment)), redactor)
        }
    }
}

extension Session {
    /// What pauses a plan's application, and sees to it that it is resumed.
    func quiescing(_ plan: Plan) -> Quiescing {
        Quiescing(transport: transport, supervisor: quiesceSupervisor(plan))
    }

    func quiesceSupervisor(_ plan: Plan) -> any QuiesceSupervisor {
        let notes = FreezeNoteFiles(state, plan: plan.name)
        return LocalQuiesceSupervisor(
            notes: notes, notePath: notes.path(of: LocalQuiesceSupervisor.noteID), clock: clock)
    }

    /// One run or restore of a plan at a time on this host.
    func lock(_ plan: Plan) throws -> PlanLock { try PlanLock(state, plan: plan.name) }

    /// The name and version of this program, as bundles and records have it.
    static let tool = "salvor \(Versions.salvor)"

    /// The runs of a plan that this host remembers.
    func history(_ plan: Plan) -> any RunHistory { RunHistoryFiles(state, plan: plan.name) }

    /// Who keeps the records of a plan's runs.
    func recording(_ plan: Plan) -> RunRecording {
        RunRecording(history: history(plan), clock: clock, observers: observers) { Output.note("salvor: \($0)") }
    }

    /// Who is told of runs.
    private var observers: [any RunObserver] { [notifier] + [MetricsObserver(self)].compactMap { $0 } }

    /// The record of a run that begins now.
    func record(_ kind: RunRecord.Kind, _ plan: Plan, isWhole: Bool = true) -> RunRecord {
        RunRecord(
            id: BundleID(plan: plan.name, started: clock.now(), suffix: BundleID.randomSuffix()), kind: kind,
            isWhole: isWhole, host: host, tool: Self.tool)
    }
}
