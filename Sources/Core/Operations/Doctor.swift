// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Looks for everything that would make tonight's backup or tomorrow's restore fail. Only reads.
public struct Doctor: Sendable {
    let registry: AdapterRegistry
    let clock: any WallClock
    let folders: [Folder]

    /// - Parameter folders: those of this host that a run fills.
    public init(registry: AdapterRegistry, clock: any WallClock, folders: [Folder] = []) {
        self.registry = registry
        self.clock = clock
        self.folders = folders
    }

    /// A folder of this host with the room it has.
    public struct Folder: Sendable {
        /// What it is for, such as `state directory`.
        public var name: String
        public var path: String
        /// Bytes that can still be written; nil: nobody knows.
        public var room: UInt64?
        /// How to do with less, or elsewhere: one sentence.
        public var remedy: String

        public init(name: String, path: String, room: UInt64?, remedy: String) {
            self.name = name
            self.path = path
            self.room = room
            self.remedy = remedy
        }
    }

    /// Checks of one subject: the repository, the keys, a source.
    public struct Section: Sendable, Codable, Equatable {
        public var subject: String
        public var checks: [Check]

        public init(subject: String, checks: [Check]) {
            self.subject = subject
            self.checks = checks
        }
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
            if plan.repository.access == .putOnly { return await putOnlyChecks(descriptor, repository) }
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
            checks += try await surroundingChecks(plan, repository)
            checks += await lockChecks(plan, repository)
            checks += try await proofChecks(plan, repository)
            return checks
        } catch {
            let failure = Failure.wrapping(error)
            return [Check("reachable", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }

    /// How many proof records are read at most; of the others the names are looked at.
    private static let proofsRead = 64

    /// Records of proofs that do not count: somebody wrote them, or a clock was wrong.
    private func proofChecks(_ plan: Plan, _ repository: any BundleRepository) async throws -> [Check] {
        let now = clock.now()
        let all = try await repository.proofClaims(plan: plan.name).flatMap { id, claims in claims.map { (id, $0) } }
            .sorted { ($0.1.at, $0.1.name) > ($1.1.at, $1.1.name) }
        // Of the older ones those whose very name cannot be right; there are many only when somebody means harm.
        let impossible = all.dropFirst(Self.proofsRead).filter { $0.1.contradiction(of: $0.0, at: now) != nil }
        let chosen = Dictionary(
            grouping: all.prefix(Self.proofsRead) + impossible.prefix(Self.proofsRead), by: { $0.0 })
        var unbelieved: [UnbelievedProof] = []
        for (id, claims) in chosen.sorted(by: { $0.key < $1.key }) {
            do {
                unbelieved += try await repository.unbelieved(
                    claims.map(\.1), try await repository.manifest(id), now)
            } catch let failure as Failure where [.integrity, .key, .notFound].contains(failure.code.exitStatus) {
                unbelieved += claims.map { UnbelievedProof(bundle: id, claim: $0.1, failure) }
            }
        }
        guard !unbelieved.isEmpty else {
            return all.isEmpty ? [] : [Check("proof records", .ok, "\(all.count), the newest are as they were signed")]
        }
        return unbelieved.map {
            Check(
                "proof records", .warning, "not believed, of \($0.bundle): \($0.reason)",
                remedy: "Validate that bundle again; find out who may write to the store, or whose clock was wrong.")
        }
    }
}
