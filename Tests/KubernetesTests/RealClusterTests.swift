// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Kubernetes

@Suite(
    "Objects of a real cluster", .serialized,
    .enabled(if: RealCluster.isHere, "needs a cluster, which scripts/test-kubernetes makes"))
struct RealClusterTests {
    @Test("objects of every kind are captured without what the server added, and nothing of a Secret elsewhere")
    func capture() async throws {
        let site = try await RealSite.make()
        let namespace = site.cluster.namespace
        let (report, sink) = try await site.captured()
        #expect(report.engine == "Kubernetes v1.20.2")
        let text = String(decoding: try #require(sink.bytes("objects")), as: UTF8.self)
        for word in [
            "resourceVersion", "uid:", "managedFields", "creationTimestamp", "generation:", "readyReplicas", "selfLink",
            "last-applied-configuration", "volumeName", "ownerReferences", "finalizers", "10.96.", "status:",
            "kube-root-ca.crt", "service-account-token", "controller-uid", "deployment.kubernetes.io/revision",
            "pv.kubernetes.io", "clusterIPs: [\"10",
        ] { #expect(!text.contains(word), "\(word): \(text.split(separator: "\n").filter { $0.contains(word) })") }
        #expect(text.contains("clusterIP: None"), "a headless service is a wish")
        let outside = "\(report.facts.values) \(report.restoreData) \(report.notices)"
        #expect(!outside.contains(RealSite.password) && !outside.contains("secret-password"))
        for (kind, count) in [
            ("configmap", 3), ("secret", 2), ("service", 3), ("deployment.apps", 1), ("statefulset.apps", 1),
            ("daemonset.apps", 1), ("job.batch", 1), ("cronjob.batch", 1), ("persistentvolumeclaim", 1),
            ("serviceaccount", 2), ("role.rbac.authorization.k8s.io", 1), ("rolebinding.rbac.authorization.k8s.io", 1),
            ("limitrange", 1), ("resourcequota", 1), ("horizontalpodautoscaler.autoscaling", 1),
            ("poddisruptionbudget.policy", 1), ("networkpolicy.networking.k8s.io", 1), ("ingress.networking.k8s.io", 1),
        ] {
            #expect(report.facts["\(namespace)/\(kind) objects"] == .count(Int64(count)), "\(kind): \(report.facts)")
        }
        // All that anybody has to do by hand is `kubectl apply`.
        let tried = try await site.cluster.kubectl(
            "apply", "--server-side", "--dry-run=server", "--force-conflicts", "--filename", "-", input: text)
        #expect(tried.split(separator: "\n").allSatisfy { $0.hasSuffix("serverside-applied (server dry run)") })
        #expect(try await site.adapter.preflight().filter { $0.state != .ok } == [])
    }

    @Test("nothing is to be done where nothing changed")
    func unchanged() async throws {
        let site = try await RealSite.make()
        let (report, sink) = try await site.captured()
        let plan = try await site.adapter.planRestore(try site.restore(report, sink))
        #expect(plan.blockers == [])
        #expect(plan.creates == [] && plan.replaces == [])
        #expect(
            plan.warnings.count == 1 && plan.warnings[0].hasSuffix("objects are as in the bundle already"), "\(plan)")
    }

    @Test("deleted and changed objects come back and run, the way back is the way it was, and both again")
    func roundTrip() async throws {
        let site = try await RealSite.make()
        let cluster = site.cluster
        let (report, sink) = try await site.captured()
        let before = try await site.state()
        for object in [
            "configmap/texts", "secret/db", "service/web", "service/outside", "statefulset/db", "cronjob/nightly",
            "role/read", "rolebinding/read", "ingress/web", "job/migrate", "networkpolicy/closed", "pvc/data",
        ] { try await cluster.kubectl("delete", object, "--timeout=60s") }
        try await cluster.kubectl("scale", "deployment/web", "--replicas=3")
        try await cluster.kubectl("set", "env", "daemonset/agent", "MODE=off")
        try await cluster.kubectl("patch", "configmap", "app", "--patch", "data: {LEVEL: debug, ADDED: later}")
        let changed = try await site.state()

        let restore = try site.restore(report, sink)
        let plan = try await site.adapter.planRestore(restore)
        let place = cluster.namespace
        #expect(plan.blockers == [])
        #expect(plan.creates.count == 12 && plan.creates.contains("\(place)/configmap/texts"), "\(plan.creates)")
        #expect(plan.replaces.contains("\(place)/deployment.apps/web (spec.replicas: 3 -> 2)"), "\(plan.replaces)")
        #expect(
            plan.replaces.contains { $0.contains("daemonset.apps/agent") && $0.contains("value: off -> on") },
            "\(plan.replaces)")
        #expect(plan.replaces.contains("\(place)/configmap/app (data.LEVEL changed)"), "\(plan.replaces)")
        #expect(plan.warnings.contains { $0.contains("app keeps") && $0.contains("data.ADDED") }, "\(plan.warnings)")
        #expect(try await site.state() == changed, "a plan changes nothing")

        let journal = MemoryJournal()
        try await site.adapter.stage(restore, journal: journal)
        let facts = try await site.adapter.verify(restore, journal: journal)
        #expect(!facts.isEmpty && facts.allSatisfy(\.isEqual), "\(facts)")
        #expect(try await site.state() == changed, "neither do staging and verifying")
        try await site.adapter.promote(restore, journal: journal)
        var expected = before
        expected["configmap/app"] = expected["configmap/app"]?.changing("data") { $0.setting("ADDED", "later") }
        try await expectState(site, expected)
        for workload in ["deployment/web", "statefulset/db", "daemonset/agent"] {
            try await cluster.kubectl("rollout", "status", workload, "--timeout=60s")
        }

        try await site.adapter.rollBack(restore.place, journal: journal)
        try await expectState(site, changed)
        try await site.adapter.promote(restore, journal: journal)
        try await expectState(site, expected)
        try await site.adapter.settle(restore.place, journal: journal)
        #expect(!FileManager.default.fileExists(atPath: restore.keepDirectory + "/previous-objects.json"))
    }

    @Test("a namespace that is gone comes back with all that was in it")
    func namespace() async throws {
        let site = try await RealSite.make()
        let (report, sink) = try await site.captured()
        let before = try await site.state()
        try await site.cluster.kubectl("delete", "namespace", site.cluster.namespace, "--timeout=120s")
        let restore = try site.restore(report, sink)
        let plan = try await site.adapter.planRestore(restore)
        #expect(plan.blockers == [] && plan.warnings.contains { $0.contains("is made first") }, "\(plan)")
        let journal = MemoryJournal()
        try await site.adapter.stage(restore, journal: journal)
        #expect(try await site.adapter.verify(restore, journal: journal).allSatisfy(\.isEqual))
        try await site.adapter.promote(restore, journal: journal)
        try await expectState(site, before)
        try await site.cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        try await site.adapter.rollBack(restore.place, journal: journal)
        let left = try await site.cluster.kubectl("get", "namespaces", "--output", "name")
        #expect(!left.contains(site.cluster.namespace), "it was not there before")
    }

    @Test("objects are put into another namespace beside those they are copies of")
    func renamed() async throws {
        let site = try await RealSite.make()
        let (report, sink) = try await site.captured()
        let before = try await site.state()
        let other = site.cluster.namespace + "-trial"
        let restore = try site.restore(report, sink, rename: other)
        let plan = try await site.adapter.planRestore(restore)
        #expect(plan.blockers == [], "\(plan.blockers)")
        let journal = MemoryJournal()
        try await site.adapter.stage(restore, journal: journal)
        #expect(try await site.adapter.verify(restore, journal: journal).allSatisfy(\.isEqual))
        try await site.adapter.promote(restore, journal: journal)
        let found = try await site.state(other)
        #expect(found["configmap/texts"]?["data"] == before["configmap/texts"]?["data"])
        #expect(
            found["rolebinding.rbac.authorization.k8s.io/read"]?["subjects"]?.array?.first?["namespace"]
                == .string(other))
        #expect(Set(found.keys) == Set(before.keys))
        #expect(try await site.state() == before)
        try await site.cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s", "--namespace", other)
        try await site.adapter.rollBack(restore.place, journal: journal)
        #expect(try await !site.cluster.kubectl("get", "namespaces", "--output", "name").contains(other))
    }

    @Test("fields of another manager are taken over and named, or refused before anything is touched")
    func conflicts() async throws {
        let site = try await RealSite.make()
        let (report, sink) = try await site.captured()
        let own = """
            {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1,
              selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [
              {name: main, env: [{name: MODE, value: slow}]}]}}}}
            """
        try await site.cluster.kubectl(
            "apply", "--server-side", "--field-manager=gitops", "--force-conflicts", "--filename", "-", input: own)
        let changed = try await site.state()
        let refusing = try site.adapter(more: "restore: {conflicts: refuse}")
        let refused = try await refusing.planRestore(try site.restore(report, sink))
        #expect(refused.blockers.count == 1, "\(refused.blockers)")
        for word in ["gitops", ".spec.replicas", "MODE"] {
            #expect(refused.blockers.joined().contains(word), "\(refused.blockers)")
        }
        let failure = try await #require(throws: Failure.self) {
            _ = try await refusing.verify(try site.restore(report, sink), journal: MemoryJournal())
        }
        #expect(failure.code == .conflict, "\(failure)")
        #expect(try await site.state() == changed)

        let restore = try site.restore(report, sink, include: ["deployment/web"])
        let plan = try await site.adapter.planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.warnings.contains { $0.contains("gitops") }, "\(plan.warnings)")
        let journal = MemoryJournal()
        try await site.adapter.stage(restore, journal: journal)
        try await site.adapter.promote(restore, journal: journal)
        #expect(try await site.state()["deployment.apps/web"]?["spec"]?["replicas"] == 2)
        try await site.adapter.rollBack(restore.place, journal: journal)
        try await expectState(site, changed)
    }

    @Test("an immutable Secret that changed is made anew, and so is its old state when rolled back")
    func immutable() async throws {
        let site = try await RealSite.make()
        let (report, sink) = try await site.captured()
        try await site.cluster.kubectl("delete", "secret", "fixed")
        try await site.cluster.kubectl(
            "apply", "--filename", "-",
            input: "{apiVersion: v1, kind: Secret, metadata: {name: fixed}, immutable: true, data: {KEY: dHdv}}")
        let changed = try await site.state()
        let restore = try site.restore(report, sink, include: ["secret/fixed"])
        let plan = try await site.adapter.planRestore(restore)
        #expect(plan.blockers == [] && plan.replaces.contains { $0.contains("made anew") }, "\(plan)")
        #expect(!"\(plan)".contains("b25l") && !"\(plan)".contains("dHdv"))
        let journal = MemoryJournal()
        try await site.adapter.stage(restore, journal: journal)
        #expect(try await site.adapter.verify(restore, journal: journal).allSatisfy(\.isEqual))
        try await site.adapter.promote(restore, journal: journal)
        #expect(try await site.state()["secret/fixed"]?["data"]?["KEY"] == "b25l")
        try await site.adapter.rollBack(restore.place, journal: journal)
        try await expectState(site, changed)
    }

    @Test(
        "without rights nothing is captured; with those the documentation asks for, all; and a plan tells what is missing"
    )
    func rights() async throws {
        let site = try await RealSite.make()
        let viewer = try site.adapter(more: "", kubeconfig: site.cluster.viewerKubeconfig)
        let failure = try await #require(throws: Failure.self) { _ = try await viewer.capture(into: MemoryCapture()) }
        #expect(failure.code == .sourceDenied && failure.summary.contains("forbidden"), "\(failure)")
        let checks = await viewer.preflight()
        #expect(checks.filter { $0.state == .failed && $0.name == "rights" }.count == 18, "\(checks)")

        let name = site.cluster.namespace
        try await site.cluster.kubectl(
            "apply", "--filename", "-",
            input: """
                apiVersion: rbac.authorization.k8s.io/v1
                kind: ClusterRole
                metadata: {name: \(name)}
                rules:
                  - {apiGroups: [""], resources: [namespaces], verbs: [get]}
                  - {apiGroups: ["", apps, batch, autoscaling, policy, networking.k8s.io, rbac.authorization.k8s.io],
                     resources: ["*"], verbs: [get, list]}
                """)
        try await site.cluster.kubectl("create", "rolebinding", "salvor", "--clusterrole=\(name)", "--user=viewer")
        #expect(await viewer.preflight().filter { $0.state != .ok } == [])
        let sink = MemoryCapture()
        let report = try await viewer.capture(into: sink)
        #expect(report.facts["\(name)/secret objects"] == .count(2))
        let plan = try await viewer.planRestore(try site.restore(report, sink))
        #expect(plan.blockers.contains { $0.contains("orbidden") }, "\(plan.blockers)")
    }

    @Test("what cannot be reached or is not there is told with a remedy")
    func faults() async throws {
        let cluster = try await RealCluster()
        let site = RealSite(cluster: cluster, folder: try TemporaryDirectory("cluster"))
        func failure(_ more: String) async throws -> Failure {
            let failure = try await #require(throws: Failure.self) {
                _ = try await site.adapter(more: more).capture(into: MemoryCapture())
            }
            #expect(failure.hint != nil, "\(failure)")
            return failure
        }
        let kind = try await failure("kinds: [widgets.example.com]")
        #expect(kind.code == .sourceFailed && kind.summary.contains("doesn't have a resource type"), "\(kind)")
        let context = try await failure("context: prod")
        #expect(context.code == .sourceUnreachable, "\(context)")
        // The port of nobody.
        let nowhere = try site.folder.write(
            "kubeconfig",
            String(contentsOfFile: cluster.kubeconfig, encoding: .utf8).replacingOccurrences(of: ":6443", with: ":6"))
        let down = try await #require(throws: Failure.self) {
            _ = try await site.adapter(more: "", kubeconfig: nowhere).capture(into: MemoryCapture())
        }
        #expect(down.code == .sourceUnreachable, "\(down)")
        let stranger = try site.folder.write(
            "stranger",
            String(contentsOfFile: cluster.kubeconfig, encoding: .utf8).replacingOccurrences(
                of: "admin-token", with: "no-token"))
        let refused = try await #require(throws: Failure.self) {
            _ = try await site.adapter(more: "", kubeconfig: stranger).capture(into: MemoryCapture())
        }
        #expect(refused.code == .sourceDenied, "\(refused)")
    }

    private func expectState(_ site: RealSite, _ expected: [String: JSONValue]) async throws {
        let found = try await site.state()
        #expect(Set(found.keys) == Set(expected.keys))
        for (name, object) in expected {
            guard let now = found[name], now != object, let key = ObjectKey(object) else { continue }
            Issue.record("\(name): \(ObjectComparison.changes(from: object, to: now, key))")
        }
    }
}
