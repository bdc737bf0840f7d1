// SPDX-License-Identifier: Apache-2.0

/// Every kind of source this program knows, in one table.
public struct AdapterRegistry: Sendable {
    private let factories: [String: any SourceAdapterFactory]
    private let secrets: any SecretResolver
    private let clock: any WallClock
    private let freezeNotes: @Sendable (SourceSettings) -> any FreezeNotes
    private let transport: @Sendable (TransportSettings) -> any Transport
    private let partTransport: (@Sendable (ConfigNode) throws -> any Transport)?

    /// Without `freezeNotes`, notes last as long as the adapter; without `partTransport`, parts of a source are reached as
    /// the source is.
    public init(
        _ factories: [any SourceAdapterFactory], secrets: any SecretResolver, clock: any WallClock,
        freezeNotes: @escaping @Sendable (SourceSettings) -> any FreezeNotes = { _ in MemoryFreezeNotes() },
        partTransport: (@Sendable (ConfigNode) throws -> any Transport)? = nil,
        transport: @escaping @Sendable (TransportSettings) -> any Transport
    ) {
        self.factories = Dictionary(factories.map { ($0.kind, $0) }) { first, _ in first }
        self.secrets = secrets
        self.clock = clock
        self.freezeNotes = freezeNotes
        self.transport = transport
        self.partTransport = partTransport
    }

    /// The known kinds, sorted.
    public var kinds: [String] { factories.keys.sorted() }

    /// The factory of a kind.
    ///
    /// - Throws: `Failure(.configuration)` with the nearest kind.
    public func factory(_ kind: String, mark: ConfigMark? = nil) throws -> any SourceAdapterFactory {
        guard let factory = factories[kind] else {
            let place = mark.map { "\($0): " } ?? ""
            throw Failure(
                .configuration, "\(place)unknown adapter '\(kind)'",
                hint: NearestName.of(kind, among: kinds).map { "Did you mean '\($0)'?" }
                    ?? "Known adapters: \(kinds.joined(separator: ", ")).")
        }
        return factory
    }

    /// The adapter of a source, its settings read strictly.
    public func adapter(_ source: SourceSettings) throws -> any SourceAdapter {
        try factory(source.adapter, mark: source.mark).make(
            AdapterEnvironment(
                source: source, transport: transport(source.transport), secrets: secrets, clock: clock,
                freezeNotes: freezeNotes(source), partTransport: partTransport))
    }

    /// Whether the source holds data rather than configuration, secrets or logs.
    public func isData(_ kind: String) throws -> Bool { try factory(kind).isData }
}
