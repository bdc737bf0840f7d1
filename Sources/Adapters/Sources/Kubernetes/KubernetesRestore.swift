// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

extension KubernetesAdapter {
    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let data = restore.contents.restoreData
        let cluster = try await clusterID()
        var plan = SourceRestorePlan(
            target: "\(try await serverVersion())\(settings.context.map { ", context '\($0)'" } ?? "")"
                + (cluster.map { ", cluster \($0)" } ?? ""),
            origin: "\(restore.contents.engine)\(data["cluster"]?.string.map { ", cluster \($0)" } ?? "")")
        if let origin = data["cluster"]?.string, let cluster, origin != cluster {
            plan.warnings.append("this is another cluster than the one the bundle was made of")
        }
        var objects = try await ObjectRestore(restore, kubectl)
        do { try await objects.tryOut() } catch let failure as Failure {
            plan.blockers.append(failure.summary)
        }
        describe(objects, &plan)
        let command = kubectl.program([
            "apply", "--server-side", "--field-manager=\(Self.fieldManager)",
            settings.conflicts == .take ? "--force-conflicts" : "--force-conflicts=false", "--filename=-",
        ]).commandLine
        plan.steps = [
            .init("stage", "keep what the cluster has of \(objects.items.count) objects, for the way back"),
            .init(
                "verify", "let the server try all of them without keeping anything",
                command: command + " --dry-run=server"),
            .init("promote", "apply \(objects.items.count) objects", command: command),
        ]
        return plan
    }

    private func describe(_ objects: ObjectRestore, _ plan: inout SourceRestorePlan) {
        var same = 0
        for item in objects.items {
            guard let live = item.live else {
                plan.creates.append(item.key.description)
                continue
            }
            let change = ObjectComparison.changes(
                from: ObjectCleaning.clean(live), to: item.result ?? item.wanted, item.key)
            guard !change.isEmpty else {
                same += 1
                continue
            }
            let how = item.isReplaced ? "deleted and made anew, since it is immutable" : change.joined(separator: ", ")
            plan.replaces.append("\(item.key) (\(how))")
            if let result = item.result {
                let kept = ObjectComparison.kept(item.wanted, result)
                if !kept.isEmpty {
                    plan.warnings.append(
                        "\(item.key) keeps what the bundle does not have: \(kept.prefix(4).joined(separator: ", "))"
                            + (kept.count > 4 ? " and \(kept.count - 4) more" : ""))
                }
            }
        }
        if same > 0 { plan.warnings.append("\(same) objects are as in the bundle already") }
        plan.warnings += objects.conflicts.map {
            "fields are taken over from another manager, which may set them again: \($0)"
        }
        if !objects.newNamespaces.isEmpty {
            let made = objects.items.filter { $0.key.kind == "namespace" }.map(\.key.name)
            for name in objects.newNamespaces.sorted() {
                if made.contains(name) {
                    plan.warnings.append("namespace '\(name)' is made first, so what is in it cannot be tried before")
                } else {
                    plan.blockers.append("there is no namespace '\(name)', and the bundle does not have it")
                }
            }
        }
        if plan.replaces.contains(where: { $0.contains("configmap/") || $0.contains("secret/") }) {
            plan.warnings.append("running pods read changed ConfigMaps and Secrets when they are restarted")
        }
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let objects = try await ObjectRestore(restore, kubectl)
        let kept = KeptObjects(folder: restore.keepDirectory)
        try await kept.write(objects.items.compactMap(\.live).map(ObjectCleaning.clean))
        let state = ObjectState(
            cluster: try await clusterID(), all: objects.items.map(\.key),
            created: objects.items.filter { $0.live == nil }.map(\.key))
        try await journal.record(try state.json)
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        var objects = try await ObjectRestore(restore, kubectl)
        try await objects.tryOut()
        for item in objects.items {
            guard let result = item.result else { continue }
            let change = ObjectComparison.changes(from: item.wanted, to: result, item.key)
            if !change.isEmpty {
                await journal.note("\(item.key) will differ from the bundle: \(change.joined(separator: ", "))")
            }
        }
        let accepted = objects.items.filter { item in
            item.result != nil || item.isReplaced || objects.newNamespaces.contains(item.key.namespace)
        }
        return Self.facts(objects.items.map(\.key)).compared(with: Self.facts(accepted.map(\.key)))
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let state = try ObjectState(await journal.recorded)
        try await requireCluster(state)
        let objects = try await ObjectRestore(restore, kubectl)
        try await objects.apply()
        let live = try await ObjectRestore.live(objects.items.map(\.key), kubectl)
        let missing = objects.items.filter { live[$0.key] == nil }
        if let first = missing.first {
            throw Failure(
                .restoreFailed, "\(first.key) and \(missing.count - 1) more are not there after they were applied",
                hint: "Does a controller delete them? 'salvor restore --rollback' puts the old state back.")
        }
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        let recorded = await journal.recorded
        guard recorded != .null else { return }
        let state = try ObjectState(recorded)
        try await requireCluster(state)
        let previous = try await KeptObjects(folder: place.keepDirectory).read()
        let live = try await ObjectRestore.live(state.all, kubectl)
        for object in previous {
            guard let key = ObjectKey(object), let now = live[key], now["immutable"]?.bool == true else { continue }
            if ObjectCleaning.clean(now) != object { try await kubectl.delete(key) }
        }
        _ = try await kubectl.apply(previous, force: true, isTrial: false)
        for key in state.created.sorted(by: >) where live[key] != nil { try await kubectl.delete(key) }
        let found = try await ObjectRestore.live(state.all, kubectl).mapValues(ObjectCleaning.clean)
        for object in previous {
            guard let key = ObjectKey(object), found[key] != object else { continue }
            let change = ObjectComparison.changes(from: object, to: found[key] ?? .null, key)
            throw Failure(
                .restoreFailed, "\(key) is not as it was before the restore: \(change.joined(separator: ", "))",
                hint: "Somebody else changes it; look at its managers with 'kubectl get --show-managed-fields'.")
        }
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        // Nothing was made in the cluster.
        try await KeptObjects(folder: place.keepDirectory).remove()
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await KeptObjects(folder: place.keepDirectory).remove()
    }

    private func requireCluster(_ state: ObjectState) async throws {
        guard let expected = state.cluster, let found = try await clusterID(), found != expected else { return }
        throw Failure(
            .restoreBlocked, "the restore was begun in cluster \(expected), and this is cluster \(found)",
            hint: "Somebody changed the kubeconfig's context; set 'context' of the source.")
    }
}
