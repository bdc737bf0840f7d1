// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// What the host remembers of one plan in one repository.
public struct PlanState: Sendable {
    private let directory: StateDirectory

    /// - Parameter repository: the repository's id, so that the notes of one are never taken for another's.
    public init(_ root: StateDirectory, repository: String, plan: String) {
        directory = root.below("repositories").below(repository).below(plan)
    }

    /// The last bundle this host committed for the plan; nil when unknown.
    ///
    /// A damaged note counts as unknown: the next bundle then starts from what the store lists.
    public func lastCommitted() throws -> Manifest.Previous? {
        guard let bytes = try directory.read("chain.json") else { return nil }
        return try? JSONDecoder().decode(Manifest.Previous.self, from: Data(bytes))  // damaged is unknown, as said
    }

    /// Notes the last committed bundle.
    public func setLastCommitted(_ link: Manifest.Previous) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try directory.write("chain.json", Array(try encoder.encode(link)))
        } catch let error as EncodingError {
            throw Failure.wrapping(error, as: .internalError, "the chain note")
        }
    }

    /// Where the bases of the plan's streams are.
    public var bases: StateDirectory { directory.below("bases") }
}
