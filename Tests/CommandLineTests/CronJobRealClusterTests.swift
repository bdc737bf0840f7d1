// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

/// The CronJob that `salvor timers show` prints, run by a real cluster: its controllers make the pod, its kubelet the
/// container, and what the pod may do is what its service account may. Changed is what this cluster needs: CronJobs are of
/// `v1beta1` in 1.20, pods have no network but the node's, and images cannot be pulled.
@Suite(
    "Salvor in a CronJob of a real cluster", .serialized,
    .enabled(if: RealCluster.isHere, "needs a cluster, which scripts/test-kubernetes makes"))
struct CronJobRealClusterTests {
    private static let password = "redis-secret-51c7"

    /// Two pods, and a plan that reaches them as the pod that it runs in.
    private struct Stack {
        let cluster: RealCluster
        let app: RealCluster.Pod
        let port: Int
        let site: Site
        /// What the claim `salvor-state` is on the node: notes, keyring and repository.
        let claim: TemporaryDirectory

        static func make() async throws -> Stack {
            let cluster = try await RealCluster()
            let app = try await cluster.pod("app")
            let cache = try await cluster.pod("cache", .redis, metadata: "labels: {app: cache}")
            let port = try ThrowawayRedis.freePort()
            try await app.shell(
                "mkdir -p /etc/app/certs; echo 'listen 80' >/etc/app/app.conf; echo pem >/etc/app/certs/a.pem")
            try await cache.shell(
                """
                printf 'port \(port)\\nbind 127.0.0.1\\ndaemonize yes\\ndir /srv\\nrequirepass \(password)\\n' >/srv/conf
                redis-server /srv/conf
                until REDISCLI_AUTH=\(password) redis-cli -p \(port) SET a 1; do sleep 0.1; done
                """)
            let claim = try TemporaryDirectory("claim")
            let site = try await Site.make(
                sources: """
                    - name: config
                      adapter: files
                      transport: {kubernetes: {namespace: \(cluster.namespace), pod: app}}
                      paths: [/etc/app]
                    - name: cache
                      adapter: redis
                      transport: {kubernetes: {namespace: \(cluster.namespace), selector: app=cache}}
                      connection: {host: 127.0.0.1, port: \(port), password: credential:redis}
                    - name: objects
                      adapter: kubernetes
                      namespaces: [\(cluster.namespace)]
                      kinds: [configmaps, secrets]
                    """, repository: "{store: \"file://\(claim("repository"))\"}",
                encryption: "schedule: {calendar: \"*-*-* 02:00\"}")
            let stack = Stack(cluster: cluster, app: app, port: port, site: site, claim: claim)
            try await stack.fillClaim()
            try await stack.install()
            return stack
        }

        /// The keyring of whoever signs, and a volume for the claim.
        private func fillClaim() async throws {
            let home = try #require(site.host.environment["GNUPGHOME"])
            // Without the sockets of an agent.
            try ShortCommand.run(
                "sh",
                [
                    "-c",
                    "mkdir -m 700 \"$2/gnupg\"; cd \"$1\"; cp -r *.kbx *.d \"$2/gnupg\"; chown -R 64000:64000 \"$2\"",
                    "sh",
                    home, claim.path,
                ])
            try await cluster.kubectl(
                "apply", "--filename", "-",
                input: """
                    apiVersion: v1
                    kind: PersistentVolume
                    metadata: {name: \(cluster.namespace)}
                    spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: "",
                      hostPath: {path: \(claim.path)}, claimRef: {namespace: \(cluster.namespace), name: salvor-state}}
                    ---
                    apiVersion: v1
                    kind: PersistentVolumeClaim
                    metadata: {name: salvor-state}
                    spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 1Gi}}}
                    """)
        }

        /// Plan, credentials, and a service account with the rights that the documentation lists, no others.
        private func install() async throws {
            let files = try TemporaryDirectory("configuration")
            let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
                .replacingOccurrences(of: claim.path, with: "/var/lib/salvor")
                .replacingOccurrences(of: site.folder("recipient.asc"), with: "/etc/salvor/recipient.asc")
            try files.write("plan.yaml", plan)
            try await cluster.kubectl(
                "create", "configmap", "salvor-configuration", "--from-file", files("plan.yaml"), "--from-file",
                site.folder("recipient.asc"))
            try await cluster.kubectl(
                "create", "secret", "generic", "salvor-credentials", "--from-literal=redis=\(password)")
            try await cluster.kubectl("create", "serviceaccount", "salvor")
            // Both roles of the documentation; the second one is for the objects themselves.
            let roles = [
                try Self.role("docs/transports.md", "  ").replacingOccurrences(
                    of: "namespace: prod", with: "namespace: \(cluster.namespace)"),
                try Self.role("docs/sources/kubernetes.md", "").replacingOccurrences(
                    of: "name: salvor}", with: "name: salvor-\(cluster.namespace)}"),
            ]
            for role in roles { try await cluster.kubectl("apply", "--filename", "-", input: role) }
            let account = "--serviceaccount=\(cluster.namespace):salvor"
            try await cluster.kubectl("create", "rolebinding", "salvor", "--role=salvor", account)
            try await cluster.kubectl(
                "create", "rolebinding", "salvor-objects", "--clusterrole=salvor-\(cluster.namespace)", account)
        }

        /// The first role of a page, as it is there.
        private static func role(_ page: String, _ indentation: String) throws -> String {
            let text = try String(contentsOfFile: page, encoding: .utf8)
            let first = indentation + "apiVersion: rbac.authorization.k8s.io/v1\n"
            let start = try #require(text.firstRange(of: first))
            let end = try #require(text[start.lowerBound...].firstRange(of: indentation + "```"))
            return text[start.lowerBound..<end.lowerBound].split(separator: "\n")
                .map { String($0.dropFirst(indentation.count)) }.joined(separator: "\n")
        }

        /// Applies what `salvor timers show` prints.
        func schedule() async throws -> String {
            let image = try await cluster.image(.salvor)
            let printed = try await site.ok(["timers", "show", "--format", "kubernetes", "--image", image])
            let changes = [
                ("apiVersion: batch/v1\n", "apiVersion: batch/v1beta1\n"),
                ("restartPolicy: Never\n", "restartPolicy: Never\n          hostNetwork: true\n"),
                ("image: \"\(image)\"\n", "image: \"\(image)\"\n              imagePullPolicy: Never\n"),
            ]
            var manifest = printed
            for (old, new) in changes {
                #expect(manifest.components(separatedBy: old).count == 2, "\(old): \(manifest)")
                manifest = manifest.replacingOccurrences(of: old, with: new)
            }
            try await cluster.kubectl("apply", "--filename", "-", input: manifest)
            return printed
        }

        /// Makes a Job of the CronJob, as its controller does, and waits for its end; gives what the pod said.
        func run(_ name: String) async throws -> (succeeded: Bool, log: String) {
            let text = try await cluster.kubectl(
                "get", "cronjobs.v1beta1.batch", "salvor-backup-nightly", "--output", "json")
            let whole = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
            let spec = try #require(whole["spec"]?["jobTemplate"]?["spec"])
            let job: JSONValue = [
                "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": .string(name)], "spec": spec,
            ]
            try await cluster.kubectl(
                "create", "--filename", "-", input: String(decoding: try JSONEncoder().encode(job), as: UTF8.self))
            for _ in 0..<1200 {
                let status = try await cluster.kubectl(
                    "get", "job", name, "--output", "jsonpath={.status.succeeded}/{.status.failed}")
                if status != "/" {
                    let log = try await cluster.kubectl("logs", "job/\(name)")
                    return (status.hasPrefix("1/"), log)
                }
                try await Task.sleep(for: .milliseconds(100))
            }
            let pods = try await cluster.kubectl("describe", "pods", "--selector", "job-name=\(name)")
            throw Failure(.internalError, "the job does not end: \(pods)")
        }
    }

    @Test("backs up pods with its service account's rights, into a bundle that its owner can prove and restore")
    func run() async throws {
        let stack = try await Stack.make()
        let printed = try await stack.schedule()
        #expect(printed.contains("serviceAccountName: salvor") && !printed.contains(Self.password))
        let night = try await stack.run("night")
        #expect(night.succeeded, "\(night.log)")
        #expect(!night.log.contains(Self.password))

        let site = stack.site
        #expect(try await site.bundles().count == 1)
        let shown = try await site.ok(["show", "latest"])
        #expect(shown.contains("complete"), "\(shown)")
        try await site.ok(["validate-backup", "latest", "--level", "contents"], as: site.owner)
        try await site.ok(["restore", "latest", "--to-directory", site.folder("out"), "--yes"], as: site.owner)
        let restored = try site.tree("out").filter { !$0.value.isEmpty }
        #expect(restored.contains { $0.key.hasSuffix("etc/app/app.conf") && $0.value == Data("listen 80\n".utf8) })
        #expect(restored.contains { $0.key.hasSuffix("etc/app/certs/a.pem") && $0.value == Data("pem\n".utf8) })
        #expect(
            restored.contains { $0.key.contains("cache") && $0.value.starts(with: Data("REDIS".utf8)) },
            "\(restored.keys)")

        // What was proven here as root is in the same folder. A second night knows the first one: notes are in the claim.
        try ShortCommand.run("chown", ["-R", "64000:64000", stack.claim.path])
        try await stack.app.shell("echo 'listen 81' >/etc/app/app.conf")
        let second = try await stack.run("second")
        #expect(second.succeeded, "\(second.log)")
        #expect(try await site.bundles().count == 2)
        let latest = try await site.ok(["show", "latest"])
        #expect(latest.contains("incremental"), "\(latest)")

        // Whose rights they were: without them nothing is reached, and the pod says which are missing.
        try await stack.cluster.kubectl("delete", "rolebinding", "salvor", "salvor-objects")
        let denied = try await stack.run("denied")
        #expect(!denied.succeeded)
        #expect(denied.log.contains("system:serviceaccount:\(stack.cluster.namespace):salvor"), "\(denied.log)")
        #expect(denied.log.contains("Grant 'get' and 'list' of pods"), "\(denied.log)")
        #expect(try await site.bundles().count == 2)
    }
}
