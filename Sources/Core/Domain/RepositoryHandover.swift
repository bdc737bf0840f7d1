// SPDX-License-Identifier: Apache-2.0

/// What a host that may only put has to know of a repository, carried there by an operator.
public struct RepositoryHandover: Codable, Sendable, Equatable {
    public var format: Int
    /// Where the repository was seen, for people: the other host may reach it by another name.
    public var location: String
    public var descriptor: RepositoryDescriptor
    /// The newest bundle of each plan, from which its chain goes on.
    public var newest: [String: Manifest.Previous]
    public var at: Timestamp

    public init(
        format: Int = currentFormat, location: String, descriptor: RepositoryDescriptor,
        newest: [String: Manifest.Previous], at: Timestamp
    ) {
        self.format = format
        self.location = location
        self.descriptor = descriptor
        self.newest = newest
        self.at = at
    }
}

/// A repository as something to tell a host about, and as something a host was told about.
public protocol HandoverRepository: Sendable {
    /// What a host that may only put has to know, read and checked here.
    func handover(at now: Timestamp) async throws -> RepositoryHandover

    /// Remembers on this host what another one found out. Nothing of the repository is read or written.
    ///
    /// - Throws: `Failure(.conflict)` when this host knows another repository under this location.
    func accept(_ handover: RepositoryHandover) throws
}
