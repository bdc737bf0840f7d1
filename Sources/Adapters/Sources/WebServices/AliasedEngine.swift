// SPDX-License-Identifier: Apache-2.0

/// A system in which an alias can stand for a collection, as a restore of it needs.
public protocol AliasedEngine: Sendable {
    /// Names of all collections.
    func collections() async throws -> Set<String>
    /// Collections by alias.
    func aliases() async throws -> [String: String]
    /// Makes `copy` a copy of `name`, and throws unless it holds as much.
    func copy(_ name: String, to copy: String) async throws
    /// Removes a collection; succeeds when there is none.
    func remove(_ collection: String) async throws
    /// Switches names, in an order that keeps them missing for as short as the system allows. May be called again after
    /// it was cut short.
    func switchOver(_ change: AliasChange) async throws
}

/// Which names mean what from now on.
public struct AliasChange: Sendable, Equatable {
    /// Collections by the alias that shall stand for them.
    public var pointing: [String: String]
    /// Aliases that shall be gone.
    public var dropping: [String]
    /// Collections that shall be gone, whose names become aliases.
    public var removing: [String]

    public init(pointing: [String: String], dropping: [String] = [], removing: [String] = []) {
        self.pointing = pointing
        self.dropping = dropping
        self.removing = removing
    }
}
