// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Finds the bundle somebody means: an id, a unique prefix of one, `latest`, or `latest:PLAN`. Nothing falls back to
/// another bundle by itself.
public struct BundleSelection: Sendable {
    let repository: any BundleRepository

    public init(repository: any BundleRepository) {
        self.repository = repository
    }

    /// - Parameter plan: the plan that `latest` without a plan means; nil: the newest of all.
    /// - Throws: `Failure(.bundleNotFound)`, `Failure(.usage)` for a prefix of several.
    public func find(_ selector: String, plan: String? = nil) async throws -> BundleID {
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
}
