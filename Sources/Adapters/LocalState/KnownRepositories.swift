// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Foundation

/// What this host was told, or found out, of the repositories it writes to: `known/<SHA-256 of the location>.json`. A host
/// that may only put has nothing else to go by.
public struct KnownRepositories: Sendable {
    private let directory: StateDirectory

    public init(_ root: StateDirectory) {
        directory = root.below("known")
    }

    /// What is known of the repository at a location; nil: nothing.
    ///
    /// A damaged note counts as unknown.
    public func repository(at location: String) throws -> RepositoryHandover? {
        guard let bytes = try directory.read(Self.name(location)) else { return nil }
        return try? JSONDecoder().decode(RepositoryHandover.self, from: Data(bytes))  // damaged is unknown, as said
    }

    /// Notes it, in place of what was known.
    public func note(_ known: RepositoryHandover, at location: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try directory.write(Self.name(location), Array(try encoder.encode(known)))
        } catch let error as EncodingError {
            throw Failure.wrapping(error, as: .internalError, "the note of a repository")
        }
    }

    private static func name(_ location: String) -> String { "\(SHA256Digest.of(Array(location.utf8))).json" }
}
