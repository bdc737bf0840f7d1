// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Finds the bundle somebody means: an id, a unique prefix of one, `latest`, `latest-good`, or either with `:PLAN`. Nothing
/// falls back to another bundle by itself. `latest-good` passes over what restores saved before they replaced it.
public struct BundleSelection: Sendable {
    let repository: any BundleRepository
    let clock: any WallClock

    public init(repository: any BundleRepository, clock: any WallClock = SystemClock()) {
        self.repository = repository
        self.clock = clock
    }

    /// - Parameters:
    ///   - plan: the plan that `latest` without a plan means; nil: the newest of all.
    ///   - sources: what a bundle must have for `latest-good`; a night of some sources only may be younger.
    /// - Throws: `Failure(.bundleNotFound)`, `Failure(.usage)` for a prefix of several.
    public func find(_ selector: String, plan: String? = nil, having sources: [String] = []) async throws -> BundleID {
        if selector == "latest-good" || selector.hasPrefix("latest-good:") {
            return try await good(selector.droppingPrefix("latest-good:") ?? plan, having: sources)
        }
        if selector == "latest" || selector.hasPrefix("latest:") {
            let named = selector.droppingPrefix("latest:") ?? plan
            guard let newest = try await repository.bundles(plan: named).last else {
                throw Failure(
                    .bundleNotFound,
                    named.map { "plan '\($0)' has no bundle in \(repository.location)" }
                        ?? "there is no bundle in \(repository.location)", hint: "Make one with 'salvor backup'.")
            }
            return newest
        }
        let all = try await repository.bundles(plan: nil)
        if let exact = all.first(where: { $0.text == selector }) { return exact }
        let matches = all.filter { $0.text.hasPrefix(selector) }
        if matches.count == 1, let only = matches.first { return only }
        guard matches.isEmpty else {
            throw Failure(
                .usage, "'\(selector)' is the beginning of \(matches.count) bundles",
                hint: "Type more of it: \(matches.prefix(3).map(\.text).joined(separator: ", "))…")
        }
        throw Failure(
            .bundleNotFound, "no bundle '\(selector)' in \(repository.location)",
            hint: NearestName.of(selector, among: all.map(\.text)).map { "Did you mean '\($0)'?" }
                ?? "List them with 'salvor list-backups'.")
    }

    /// The newest bundle that has every source of the plan, else the newest; nil: there is none.
    public func newestWhole(_ plan: Plan) async throws -> BundleID? {
        let all = try await repository.bundles(plan: plan.name)
        for id in all.reversed() {
            do {
                if try await repository.manifest(id).manifest.has(plan.sources.map(\.name)) { return id }
            } catch let failure as Failure where failure.code.exitStatus == .integrity {
                // Whoever validates it will say why.
                return id
            }
        }
        return all.last
    }

    /// The newest bundle that is complete, whose signature counts, and in which no validation found problems since.
    private func good(_ plan: String?, having sources: [String]) async throws -> BundleID {
        for id in try await repository.bundles(plan: plan).reversed() {
            do {
                let signed = try await repository.manifest(id)
                guard signed.manifest.state == .complete, signed.manifest.has(sources), !signed.manifest.isSafety
                else { continue }
                if try await repository.standing(of: signed, at: clock.now()).standing.problems == nil { return id }
            } catch let failure as Failure where failure.code.exitStatus == .integrity {
                // Not good; an older one may be.
                continue
            }
        }
        throw Failure(
            .bundleNotFound,
            "there is no good bundle\(plan.map { " of plan '\($0)'" } ?? "") in \(repository.location)",
            hint: "'salvor list-backups' and 'salvor validate-backup --all' tell what is there.")
    }
}

extension Manifest {
    /// The tag of a bundle of what a restore is about to replace.
    public static let safetyTag = "safety"

    /// Whether it holds what was there before a restore: the state that somebody wanted to get rid of.
    var isSafety: Bool { tags.contains(Self.safetyTag) }

    /// Whether all of these sources were captured.
    func has(_ names: [String]) -> Bool {
        names.allSatisfy { name in sources.contains { $0.name == name && $0.state == .ok } }
    }
}
