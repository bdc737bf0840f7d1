// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@testable import Kubernetes

/// Objects captured from, and restored into, what answers like a cluster.
@Suite("Kubernetes objects")
struct KubernetesTests {
    @Test("what somebody wanted is stored as YAML, without what the server added; nothing of Secrets is outside of it")
    func capture() async throws {
        let site = try ClusterSite()
        let (report, sink) = try await site.captured()
        let text = String(decoding: try #require(sink.bytes("objects")), as: UTF8.self)
        for word in [
            "resourceVersion", "uid:", "managedFields", "creationTimestamp", "generation", "readyReplicas",
            "managedFields",
            "last-applied-configuration", "volumeName", "ownerReferences", "finalizers",
        ] { #expect(!text.contains(word), "\(word)") }
        for word in ["10.96.0.", "sa-token", "kube-root-ca.crt", "made-by-controller", "sh.helm.release.v1.old"] {
            #expect(!text.contains(word), "\(word)")
        }
        // Helm's own record of a release stays, with its labels.
        #expect(text.contains("sh.helm.release.v1.shop.v3") && text.contains("helm.sh/release.v1"))
        #expect(text.contains("clusterIP: None"), "a headless service is a wish")
        let outside = "\(report.facts.values) \(report.restoreData) \(report.notices) \(try site.double.calls())"
        for secret in ["c2VjcmV0LXBhc3N3b3Jk", "secret-password"] { #expect(!outside.contains(secret)) }
        #expect(report.facts["shop/configmap objects"] == .count(2) && report.facts["shop/secret objects"] == .count(2))
        #expect(report.engine == "Kubernetes v1.32.2")
        #expect(report.notices.contains { $0.contains("token of a service account") })
        #expect(report.notices.contains { $0.contains("made by a controller") })
        // Another reader of YAML finds the same as the server has.
        let read = try await StockProgram.run(
            "/usr/bin/python3", ["-c", Self.reader], input: Array(text.utf8))
        #expect(read.status == 0, "\(read.errors)")
        let values = try JSONDecoder().decode([String: String].self, from: Data(read.output))
        #expect(values == Texts.difficult)
    }

    /// Prints the data of the ConfigMap `app`, without needing a library where there is none.
    private static let reader = """
        import json, sys
        try:
            import yaml
            docs = list(yaml.safe_load_all(sys.stdin.read()))
        except ImportError:
            sys.exit("python3-yaml is missing: run scripts/install-test-tools")
        print(json.dumps([d for d in docs if d["kind"] == "ConfigMap" and d["metadata"]["name"] == "app"][0]["data"]))
        """

    @Test("text of every kind comes back from YAML as it was")
    func texts() throws {
        let object: JSONValue = [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "x"],
            "data": .object(Texts.difficult.merging(Texts.refused) { $1 }.mapValues { .string($0) }),
            "numbers": [1, -5, 0, .number(0.5), .number(1e20), true, false, .null],
            "empty": [[:], [], "", ["a": []], [["b"], [["c"]]], ["k": ["x": "y\nz", "l": ["\n", " a\n", "yes"]]]],
        ]
        #expect(try ObjectText.objects(ObjectText.yaml([object, object])) == [object, object])
    }

    @Test("a lost ConfigMap, a changed Deployment and a deleted namespace come back; what is not in the bundle is told")
    func roundTrip() async throws {
        let site = try ClusterSite()
        let bundle = try await site.captured()
        let before = try site.wanted()
        try site.double.delete("configmap", "app", namespace: "shop")
        try site.double.edit(ClusterSite.deployment(replicas: 9))
        try site.double.delete("namespace", "jobs", namespace: "")
        let changed = try site.wanted()
        let restore = try site.restore(bundle)
        let plan = try await site.adapter.planRestore(restore)
        #expect(plan.blockers == [] && plan.target.contains("c0ffee00"))
        #expect(plan.creates.contains("shop/configmap/app") && plan.creates.contains("namespace/jobs"))
        #expect(plan.replaces.contains("shop/deployment.apps/web (spec.replicas: 9 -> 2)"), "\(plan.replaces)")
        #expect(plan.warnings.contains { $0.contains("kubectl-edit") }, "\(plan.warnings)")
        #expect(try site.wanted() == changed, "a plan changes nothing")
        let journal = MemoryJournal()
        try await site.restored(restore, journal)
        #expect(try site.wanted() == before)
        try await site.adapter.rollBack(restore.place, journal: journal)
        #expect(try site.wanted() == changed)
        try await site.adapter.promote(restore, journal: journal)
        try await site.adapter.settle(restore.place, journal: journal)
        #expect(try site.wanted() == before)
        #expect(!FileManager.default.fileExists(atPath: restore.keepDirectory + "/previous-objects.json"))
        #expect(try !site.double.calls().contains("c2VjcmV0"), "a Secret among arguments")
    }

    @Test("fields of another manager: taken over and named by default, refused before anything is touched if so set")
    func conflicts() async throws {
        let site = try ClusterSite()
        let bundle = try await site.captured()
        try site.double.edit(ClusterSite.deployment(replicas: 5))
        let changed = try site.wanted()
        let refusing = site.adapter(more: "restore: {conflicts: refuse}")
        let plan = try await refusing.planRestore(try site.restore(bundle))
        #expect(plan.blockers.count == 1 && plan.blockers[0].contains("kubectl-edit"), "\(plan.blockers)")
        #expect(plan.blockers.joined().contains(".spec.replicas"))
        let failure = try await #require(throws: Failure.self) {
            _ = try await refusing.verify(try site.restore(bundle), journal: MemoryJournal())
        }
        #expect(failure.code == .conflict)
        #expect(try site.wanted() == changed)
    }

    @Test("an immutable Secret that changed is deleted and made anew, and so is its old state when rolled back")
    func immutable() async throws {
        let site = try ClusterSite(more: [Texts.immutable(value: "b25l")])
        let bundle = try await site.captured()
        try site.double.delete("secret", "fixed", namespace: "shop")
        try site.double.apply([Texts.immutable(value: "dHdv")])
        let changed = try site.wanted()
        let restore = try site.restore(bundle, include: ["secret/fixed"])
        let plan = try await site.adapter.planRestore(restore)
        #expect(plan.blockers == [] && plan.replaces.contains { $0.contains("deleted and made anew") }, "\(plan)")
        #expect(!"\(plan)".contains("b25l") && !"\(plan)".contains("dHdv"))
        let journal = MemoryJournal()
        try await site.restored(restore, journal)
        #expect(try site.wanted()["shop/Secret/fixed"]?["data"]?["k"] == "b25l")
        try await site.adapter.rollBack(restore.place, journal: journal)
        #expect(try site.wanted() == changed)
    }

    @Test("killed or refused in the middle of applying, the old state comes back")
    func half() async throws {
        let site = try ClusterSite()
        let bundle = try await site.captured()
        try site.double.delete("configmap", "app", namespace: "shop")
        try site.double.edit(ClusterSite.deployment(replicas: 9))
        let changed = try site.wanted()
        let restore = try site.restore(bundle)
        for applied in 0...4 {
            let journal = MemoryJournal()
            try await site.adapter.stage(restore, journal: journal)
            try site.double.misbehave(["fails-after": .integer(Int64(applied))])
            await #expect(throws: Failure.self) { try await site.adapter.promote(restore, journal: journal) }
            try site.double.misbehave([:])
            try await site.adapter.rollBack(restore.place, journal: journal)
            #expect(try site.wanted() == changed, "after \(applied)")
        }
    }

    @Test("into another namespace, with the references of what is moved")
    func renamed() async throws {
        let site = try ClusterSite()
        let bundle = try await site.captured()
        let restore = try site.restore(bundle, rename: "trial")
        let two = try await #require(throws: Failure.self) { _ = try await site.adapter.planRestore(restore) }
        #expect(two.summary.contains("objects of 2 namespaces"))
        let one = try ClusterSite(namespaces: "[shop]")
        let own = try await one.captured()
        let moved = try one.restore(own, rename: "trial")
        #expect(try await one.adapter.planRestore(moved).blockers == [])
        let before = try one.wanted()
        let journal = MemoryJournal()
        try await one.restored(moved, journal)
        let found = try one.wanted()
        #expect(found["trial/RoleBinding/read"]?["subjects"]?.array?.first?["namespace"] == "trial")
        #expect(found["trial/ConfigMap/app"]?["data"] == before["shop/ConfigMap/app"]?["data"])
        try await one.adapter.rollBack(moved.place, journal: journal)
        #expect(try one.wanted() == before)
    }

    @Test("another cluster than the restore was staged in is refused")
    func otherCluster() async throws {
        let site = try ClusterSite()
        let bundle = try await site.captured()
        let other = try ClusterSite(cluster: "0badcafe-0000-4000-8000-000000000002")
        let restore = try other.restore(bundle)
        let plan = try await other.adapter.planRestore(restore)
        #expect(plan.warnings.contains { $0.contains("another cluster") })
        let journal = MemoryJournal()
        try await other.adapter.stage(restore, journal: journal)
        let failure = try await #require(throws: Failure.self) {
            try await site.adapter.promote(restore, journal: journal)
        }
        #expect(failure.code == .restoreBlocked && failure.summary.contains("0badcafe"))
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var how: JSONValue
        var code: Failure.Code
        var words: String
        var settings = ""
    }

    @Test(
        "every fault fails the capture, and says what to do",
        arguments: [
            Fault(
                testDescription: "forbidden", how: ["forbidden": ["secrets"]], code: .sourceDenied,
                words: "kubectl get secrets in namespace 'shop' failed"),
            Fault(
                testDescription: "cut off", how: ["truncated": "configmaps"], code: .sourceFailed, words: "is not whole"
            ),
            Fault(
                testDescription: "one page of several", how: ["page": "secrets"], code: .sourceFailed,
                words: "no whole list of secrets"),
            Fault(
                testDescription: "unreachable", how: ["unreachable": true], code: .sourceUnreachable,
                words: "was refused"),
            Fault(
                testDescription: "unknown kind", how: [:], code: .sourceFailed, words: "doesn't have a resource type",
                settings: "kinds: [widgets.example.com]"),
            Fault(
                testDescription: "mistyped namespace", how: [:], code: .sourceNotFound,
                words: "there is no namespace 'shpo'", settings: "namespaces: [shpo]"),
            Fault(
                testDescription: "mistyped namespace that may not be asked for", how: ["forbidden": ["namespaces"]],
                code: .sourceNotFound, words: "namespace 'shpo' has no objects", settings: "namespaces: [shpo]"),
            Fault(
                testDescription: "no such label", how: [:], code: .nothingSelected, words: "no object is selected",
                settings: "selector: app=nothing\nexclude: ['namespace/*']"),
        ])
    func faults(_ fault: Fault) async throws {
        let site = try ClusterSite()
        try site.double.misbehave(fault.how)
        let failure = try await #require(throws: Failure.self) {
            _ = try await site.adapter(more: fault.settings).capture(into: MemoryCapture())
        }
        #expect(failure.code == fault.code && failure.summary.contains(fault.words), "\(failure)")
        #expect(failure.hint != nil)
        // Doctor finds what can be found beforehand.
        if [.sourceDenied, .sourceUnreachable].contains(fault.code) {
            #expect(await site.adapter(more: fault.settings).preflight().contains { $0.state == .failed })
        }
    }

    @Test("a user who may only read is told so by the plan")
    func readOnly() async throws {
        let site = try ClusterSite()
        let bundle = try await site.captured()
        try site.double.misbehave(["forbidden": ["write"]])
        let plan = try await site.adapter.planRestore(try site.restore(bundle))
        #expect(plan.blockers.contains { $0.contains("Forbidden") }, "\(plan.blockers)")
    }

    @Test("characters that no server takes are told when they are stored, and stop the plan by the object's name")
    func refusedText() async throws {
        for (name, text) in Texts.refused {
            let object: JSONValue = [
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "odd", "namespace": "shop"],
                "data": [name: .string(text)],
            ]
            let site = try ClusterSite(more: [object])
            let bundle = try await site.captured()
            #expect(bundle.report.notices.contains { $0.hasPrefix("shop/configmap/odd has text") }, "\(name)")
            let plan = try await site.adapter.planRestore(try site.restore(bundle))
            #expect(plan.blockers.count == 1 && plan.blockers[0].hasPrefix("shop/configmap/odd has text"), "\(plan)")
            let others = try site.restore(bundle, include: ["configmap/app", "secret/*"])
            #expect(try await site.adapter.planRestore(others).blockers == [])
        }
    }

    @Test("what servers add to the templates within objects, and to Jobs, is not stored")
    func templates() throws {
        let job: JSONValue = [
            "kind": "Job", "metadata": ["name": "j", "labels": ["controller-uid": "u", "app": "shop"]],
            "spec": ["template": ["metadata": ["creationTimestamp": .null, "labels": ["controller-uid": "u"]]]],
        ]
        #expect(
            ObjectCleaning.clean(job) == [
                "kind": "Job", "metadata": ["name": "j", "labels": ["app": "shop"]],
                "spec": ["template": ["metadata": ["labels": [:]]]],
            ])
        let scaler: JSONValue = [
            "kind": "HorizontalPodAutoscaler",
            "metadata": [
                "annotations": [
                    "autoscaling.alpha.kubernetes.io/conditions": "[]", "autoscaling.alpha.kubernetes.io/metrics": "[]",
                ]
            ],
        ]
        #expect(
            ObjectCleaning.clean(scaler)["metadata"]?["annotations"]
                == ["autoscaling.alpha.kubernetes.io/metrics": "[]"])
        let set: JSONValue = [
            "kind": "StatefulSet", "metadata": ["name": "s"],
            "spec": [
                "volumeClaimTemplates": [
                    ["metadata": ["name": "d", "creationTimestamp": .null], "status": ["phase": "Pending"]]
                ]
            ],
        ]
        #expect(
            ObjectCleaning.clean(set) == [
                "kind": "StatefulSet", "metadata": ["name": "s"],
                "spec": ["volumeClaimTemplates": [["metadata": ["name": "d"]]]],
            ])
    }

    @Test("settings are read strictly")
    func settings() throws {
        for (yaml, words) in [
            ("namespaces: []", "must name at least one namespace"),
            ("namespaces: [A]", "is not the name of a namespace"),
            ("namespaces: [a], kinds: ['--all']", "is not a resource"),
            ("namespaces: [a], kubeconfig: config", "must be an absolute path"), ("namespace: a", "unknown key"),
        ] {
            let failure = try #require(throws: Failure.self) { _ = try ClusterSite.settings("{\(yaml)}") }
            #expect(failure.summary.contains(words), "\(failure)")
        }
    }
}
