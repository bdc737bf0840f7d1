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

    /// Whether this host committed a bundle while it could not look at the repository. Only such a bundle is spared long
    /// enough by whoever removes to be a base without being looked at.
    public func isBlind(_ bundle: BundleID) throws -> Bool {
        try blindBundles().contains(bundle)
    }

    /// Notes that a bundle was committed so; those that are too old to be a base are forgotten.
    public func noteBlind(_ bundle: BundleID) throws {
        let kept = try blindBundles().filter {
            bundle.started.seconds(since: $0.started) <= RebaseRule.maximumBaseAge
        }
        try directory.write("blind.txt", Array((kept + [bundle]).map { "\($0)\n" }.joined().utf8))
    }

    private func blindBundles() throws -> [BundleID] {
        guard let bytes = try directory.read("blind.txt") else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { BundleID(String($0)) }
    }

    /// Where the bases of the plan's streams are.
    public var bases: StateDirectory { directory.below("bases") }
}
