// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Looks for everything that would make tonight's backup or tomorrow's restore fail. Only reads.
public struct Doctor: Sendable {
    let registry: AdapterRegistry
    let clock: any WallClock

    public init(registry: AdapterRegistry, clock: any WallClock) {
        self.registry = registry
        self.clock = clock
    }

    /// Checks of one subject: the repository, the keys, a source.
    public struct Section: Sendable, Codable, Equatable {
        public var subject: String
        public var checks: [Check]
    }

    public func run(_ plan: Plan, _ repository: any BundleRepository) async -> [Section] {
        var sections = [
            Section(subject: "plan \(plan.name): repository", checks: await repositoryChecks(plan, repository))
        ]
        sections.append(
            Section(
                subject: "plan \(plan.name): keys", checks: await repository.keyChecks(plan: plan, at: clock.now())))
        for source in plan.sources {
            let checks: [Check]
            do {
                checks = await (try registry.adapter(source)).preflight()
            } catch {
                let failure = Failure.wrapping(error)
                checks = [Check("settings", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
            }
            sections.append(Section(subject: "plan \(plan.name): source \(source.name)", checks: checks))
        }
        return sections
    }

    private func repositoryChecks(_ plan: Plan, _ repository: any BundleRepository) async -> [Check] {
        do {
            let descriptor = try await repository.descriptor()
            var checks = [Check("reachable", .ok, "repository \(descriptor.id) at \(repository.location)")]
            if let probe = descriptor.probe {
                checks.append(
                    Check(
                        "conditional writes", probe.conditionalWrites ? .ok : .warning,
                        probe.conditionalWrites
                            ? "exactly one of parallel writers won, at \(probe.at)"
                            : "the store ignores them (tried at \(probe.at)); bundles stay apart by their unique names")
                )
                checks.append(
                    Check(
                        "listings", probe.listAfterPut ? .ok : .warning,
                        probe.listAfterPut ? "show what was just written" : "lag behind what was written"))
            }
            if descriptor.created > clock.now() {
                checks.append(
                    Check(
                        "clock", .failed, "the repository is from the future: \(descriptor.created)",
                        remedy: "Set this host's clock; bundle names and ages depend on it."))
            }
            return checks
        } catch {
            let failure = Failure.wrapping(error)
            return [Check("reachable", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }
}
