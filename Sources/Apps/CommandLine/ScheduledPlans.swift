// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import LocalState
import PlanFiles
import Timers

/// Gathers what schedulers have to know of plans.
struct ScheduledPlans {
    let session: Session
    /// Absolute path of the salvor to run; nil: this one.
    var program: String?
    var user: String?
    /// Whether the scheduler is systemd, which hands secrets over.
    var handsOver = true

    /// - Throws: `Failure(.nothingSelected)` when the plan has no schedule, `Failure(.configuration)` when one of its times
    ///   is over for ever.
    func make(_ plan: Plan) throws -> ScheduledPlan {
        guard let schedule = plan.schedule else {
            throw Failure(
                .nothingSelected, "plan '\(plan.name)' has no schedule",
                hint: "Add 'schedule: {calendar: \"*-*-* 02:00\"}' to \(plan.file).")
        }
        for job in Schedule.Job.allCases {
            for expression in schedule.calendar(job) where expression.next(after: session.clock.now()) == nil {
                throw Failure(
                    .configuration, "\(plan.file): the \(job.rawValue) time '\(expression)' never comes again",
                    hint: "Write a time to come.")
            }
        }
        let folder = configurationFolder
        var scheduled = ScheduledPlan(
            name: plan.name, file: absolute(plan.file), schedule: schedule, program: try programPath(),
            configuration: absolute(session.configurationPath), stateDirectory: absolute(session.state.path),
            keyring: keyring, user: user, variables: variables(plan), variablesFile: "\(folder)/environment")
        scheduled.credentials = credentials(plan, folder)
        let location = plan.repository.store.droppingPrefix("file://")
        let databases = plan.sources.filter { $0.adapter == "sqlite" }.compactMap { text("path", $0.settings) }
        // A reader of a database in WAL mode writes to its index, beside it.
        let besides = databases.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
        scheduled.writableFolders = [location].compactMap { $0 } + besides
        scheduled.capabilities = ["CAP_DAC_READ_SEARCH"]
        if !databases.isEmpty || location != nil { scheduled.capabilities.append("CAP_DAC_OVERRIDE") }
        // What root makes beside a database, SQLite gives to the database's owner.
        if !databases.isEmpty { scheduled.capabilities.append("CAP_CHOWN") }
        let paths = plan.sources.flatMap { texts($0.settings) } + [scheduled.stateDirectory, keyring]
        scheduled.sharesTemporaryFolders = (paths + [location].compactMap { $0 }).contains {
            $0.hasPrefix("/tmp") || $0.hasPrefix("/var/tmp")
        }
        scheduled.usesServiceAccount = plan.sources.contains { source in
            if case .kubernetes(let pod) = source.transport { return pod.kubeconfig == nil }
            return source.adapter == "kubernetes" && text("kubeconfig", source.settings) == nil
        }
        return scheduled
    }

    private var configurationFolder: String {
        let path = absolute(session.configurationPath)
        var isDirectory: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        return isDirectory.boolValue ? path : URL(fileURLWithPath: path).deletingLastPathComponent().path
    }

    private var keyring: String {
        let environment = ProcessInfo.processInfo.environment
        if let home = environment["GNUPGHOME"], !home.isEmpty { return absolute(home) }
        return "\(NSHomeDirectoryForUser(user ?? "root") ?? "/root")/.gnupg"
    }

    private func programPath() throws -> String {
        if let program { return absolute(program) }
        do {
            return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        } catch {
            throw Failure(.localInput, "unable to tell where this salvor is", hint: "Say it with --program.")
        }
    }

    private func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    private func variables(_ plan: Plan) -> [String] {
        plan.secrets.compactMap { reference in
            guard case .environment(let name) = reference.kind else { return nil }
            return name
        }.sorted()
    }

    private func credentials(_ plan: Plan, _ folder: String) -> [ScheduledPlan.Credential] {
        plan.secrets.compactMap { reference -> ScheduledPlan.Credential? in
            switch reference.kind {
            case .credential(let name):
                return ScheduledPlan.Credential(name: name, path: "\(folder)/credentials/\(name)")
            case .file(let path) where user != nil && handsOver:
                // Another account need not be able to read what root can.
                return ScheduledPlan.Credential(name: SecretReference.credentialName(forFile: path), path: path)
            default: return nil
            }
        }
    }

    private func text(_ key: String, _ node: ConfigNode) -> String? {
        guard case .mapping(let pairs, _) = node,
            case .scalar(let text, _, _)? = pairs.first(where: { $0.key == key })?.value
        else { return nil }
        return text
    }

    private func texts(_ node: ConfigNode) -> [String] {
        switch node {
        case .scalar(let text, _, _): [text]
        case .sequence(let nodes, _): nodes.flatMap(texts)
        case .mapping(let pairs, _): pairs.flatMap { texts($0.value) }
        }
    }
}
