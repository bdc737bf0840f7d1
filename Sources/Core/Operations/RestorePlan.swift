// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a restore would do, as a value: printed by `--dry-run`, carried out by `Restore`.
public struct RestorePlan: Sendable, Codable, Equatable {
    public var bundle: BundleID
    public var plan: String
    /// The host that made the bundle.
    public var host: String
    public var taken: Timestamp
    public var state: Manifest.State
    public var repository: String
    public var sources: [Source]
    /// Bytes to fetch from the repository, bases included.
    public var bytesToFetch: UInt64
    /// A rough time, from the rates measured when the bundle was made; seconds.
    public var estimatedSeconds: Int
    /// Why it cannot be done, over all sources.
    public var blockers: [String]
    /// Sources of the bundle that were meant and are not restored.
    public var leftOut: [LeftOut]

    /// One source's part.
    public struct Source: Sendable, Codable, Equatable {
        public var name: String
        public var adapter: String
        public var rawBytes: UInt64
        public var storedBytes: UInt64
        public var steps: SourceRestorePlan
    }
}

extension RestorePlan {
    /// A source that a restore of the whole bundle does without.
    public struct LeftOut: Sendable, Codable, Equatable {
        /// Why.
        public enum Reason: String, Sendable, Codable {
            /// Its capture failed, so the bundle does not have it.
            case failed
            /// It holds configuration, secrets or logs, and only data was asked for.
            case noData = "no-data"
        }

        public var name: String
        public var adapter: String
        public var reason: Reason
    }
}

/// What to restore.
public struct RestoreRequest: Sendable {
    public var bundle: BundleID
    /// Names of the sources; empty: all in the bundle.
    public var sources: [String]
    public var include: [String]
    /// Leave out sources that hold configuration, secrets or logs.
    public var dataOnly: Bool
    /// New names by source.
    public var renames: [String: String]

    public init(
        bundle: BundleID, sources: [String] = [], include: [String] = [], dataOnly: Bool = false,
        renames: [String: String] = [:]
    ) {
        self.bundle = bundle
        self.sources = sources
        self.include = include
        self.dataOnly = dataOnly
        self.renames = renames
    }
}

/// Chooses sources of a bundle, exactly.
enum SourceSelection {
    /// What the request named, or meant by naming nothing, and `choose` does not give.
    static func leftOut(
        _ request: RestoreRequest, from manifest: Manifest, isData: (String) throws -> Bool
    ) rethrows -> [RestorePlan.LeftOut] {
        try manifest.sources.filter { request.sources.isEmpty || request.sources.contains($0.name) }.compactMap {
            let isWanted = try !request.dataOnly || isData($0.adapter)
            guard !isWanted || $0.state == .failed else { return nil }
            return RestorePlan.LeftOut(name: $0.name, adapter: $0.adapter, reason: isWanted ? .failed : .noData)
        }
    }

    static func choose(
        _ request: RestoreRequest, from manifest: Manifest, isData: (String) throws -> Bool
    ) throws -> [Manifest.Source] {
        let names = manifest.sources.map(\.name)
        for name in request.sources + request.renames.keys where !names.contains(name) {
            throw Failure(
                .sourceNotFound, "bundle \(manifest.id) has no source '\(name)'",
                hint: NearestName.of(name, among: names).map { "Did you mean '\($0)'?" }
                    ?? "Its sources: \(names.joined(separator: ", ")).")
        }
        var chosen = manifest.sources.filter { request.sources.isEmpty || request.sources.contains($0.name) }
        if request.dataOnly { chosen = try chosen.filter { try isData($0.adapter) } }
        let failed = chosen.filter { $0.state == .failed }
        if let first = failed.first, !request.sources.isEmpty || failed.count == chosen.count {
            throw Failure(
                .sourceNotFound, "source '\(first.name)' failed when bundle \(manifest.id) was made and is not in it",
                hint: "Choose another bundle: 'salvor list-backups'.")
        }
        chosen.removeAll { $0.state == .failed }
        guard !chosen.isEmpty else {
            throw Failure(.nothingSelected, "nothing of bundle \(manifest.id) was selected")
        }
        return chosen
    }
}
