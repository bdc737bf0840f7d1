// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What somebody asks of a bundle beside its bytes: that it is young, and that it has every source of its plan.
public struct BundleDemands: Sendable {
    let repository: any BundleRepository
    let clock: any WallClock
    /// Seconds since its run began; nil: any.
    let longestAge: Int?
    let mustBeComplete: Bool

    public init(repository: any BundleRepository, clock: any WallClock, longestAge: Int?, mustBeComplete: Bool) {
        self.repository = repository
        self.clock = clock
        self.longestAge = longestAge
        self.mustBeComplete = mustBeComplete
    }

    /// What is not as it was asked for, in words; empty: all is.
    public func complaints(_ id: BundleID, _ plan: Plan) async throws -> [String] {
        var complaints: [String] = []
        if let longestAge {
            let age = Int(clock.now().seconds(since: id.started))
            if age > longestAge {
                complaints.append("\(id) is from \(id.started), more than \(TimeLimit.text(longestAge)) ago")
            }
            if age < -300 { complaints.append("\(id) is from the future: check this host's clock") }
        }
        guard mustBeComplete else { return complaints }
        let present = try await repository.manifest(id).manifest.sources.filter { $0.state == .ok }.map(\.name)
        let missing = plan.sources.map(\.name).filter { !present.contains($0) }
        if !missing.isEmpty { complaints.append("\(id) lacks \(missing.joined(separator: ", "))") }
        return complaints
    }
}
