// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Transports

@Suite(
    "Pods of a real cluster", .serialized,
    .enabled(if: RealCluster.isHere, "needs a cluster, which scripts/test-kubernetes makes"))
struct RealClusterTests {
    @Test("programs in a pod behave as local ones do")
    func contract() async throws {
        let cluster = try await RealCluster()
        let pod = try await cluster.pod("db-0")
        let transport = cluster.transport(.name("db-0"))
        #expect(transport.description == "kubernetes:\(cluster.namespace)/db-0")
        try await TransportContract(transport: transport) { try await pod.shell($0) }.all()
    }

    @Test("thirty megabytes go both ways at once, and arrive as they were")
    func large() async throws {
        let cluster = try await RealCluster()
        try await cluster.pod("db-0")
        let input = (0..<(30 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let output = try await cluster.transport(.name("db-0")).output(of: Program("cat", []), input: input)
        #expect(output.count == input.count)
        #expect(SHA256Digest.of(output) == SHA256Digest.of(input))
    }

    @Test("a pod is found by its labels, a container by name, annotation or because it is the only one")
    func choice() async throws {
        let cluster = try await RealCluster()
        try await cluster.pod("web-a", metadata: "labels: {app: web}")
        try await cluster.pod("web-b", metadata: "labels: {app: web}")
        try await cluster.pod("done", metadata: "labels: {app: job}", command: ["true"], ends: true)
        try await cluster.pod("job", metadata: "labels: {app: job}")
        func name(_ transport: any Transport) async throws -> String {
            let bytes = try await transport.output(of: Program("cat", ["/etc/hostname"]))
            return String(decoding: bytes, as: UTF8.self)
        }
        let several = try await failed(cluster.transport(.selector("app=web")))
        #expect(several.summary.hasSuffix("2 running pods match: web-a, web-b"), "\(several)")
        let none = try await failed(cluster.transport(.selector("app=nothing")))
        #expect(none.summary.hasSuffix("no pod matches"), "\(none)")
        // One that is done does not count beside one that runs.
        _ = try await name(cluster.transport(.selector("app=job")))

        try await cluster.pod("two", containers: ["server", "proxy"], more: ("", "env: [{name: A, value: b}]"))
        let choose = try await failed(cluster.transport(.name("two")))
        #expect(choose.summary.hasSuffix("pod 'two' has 2 containers: server, proxy"), "\(choose)")
        let mistyped = try await failed(cluster.transport(.name("two"), container: "servr"))
        #expect(mistyped.hint == "Did you mean 'server'?", "\(mistyped)")
        let proxy = cluster.transport(.name("two"), container: "proxy")
        _ = try await proxy.output(of: Program("touch", ["/tmp/here"]))
        let named = try await cluster.pod(
            "named", containers: ["server", "proxy"],
            metadata: "annotations: {kubectl.kubernetes.io/default-container: proxy}")
        _ = try await cluster.transport(.name("named")).output(of: Program("touch", ["/tmp/here"]))
        #expect(try await named.shell("ls /tmp", container: "proxy") == "here")
        #expect(try await named.shell("ls /tmp", container: "server") == "")
    }

    @Test("what a cluster refuses is told with a remedy")
    func refusals() async throws {
        let cluster = try await RealCluster()
        try await cluster.pod("db-0")
        try await cluster.pod("done", command: ["true"], ends: true)
        let missing = try await failed(cluster.transport(.name("db-9")))
        #expect(missing.summary.hasSuffix("there is no such pod"), "\(missing)")
        let done = try await failed(cluster.transport(.name("done")))
        #expect(done.summary.hasSuffix("no running pod: done is Succeeded"), "\(done)")

        var settings = cluster.settings(.name("db-0"))
        settings.context = "prod"
        let context = try await failed(cluster.transport(settings))
        #expect(context.code == .sourceUnreachable && context.summary.contains("context \"prod\""), "\(context)")
        settings = cluster.settings(.name("db-0"))
        settings.namespace = "no-such-namespace"
        let namespace = try await failed(cluster.transport(settings))
        #expect(namespace.code == .sourceUnreachable, "\(namespace)")
        settings = cluster.settings(.name("db-0"))
        settings.kubeconfig = "/nowhere/kubeconfig"
        let kubeconfig = try await failed(cluster.transport(settings))
        #expect(kubeconfig.code == .sourceUnreachable && kubeconfig.hint != nil, "\(kubeconfig)")

        settings = cluster.settings(.name("db-0"))
        settings.kubeconfig = cluster.viewerKubeconfig
        let viewer = try await failed(cluster.transport(settings))
        #expect(viewer.code == .sourceDenied && viewer.summary.contains("pods \"db-0\" is forbidden"), "\(viewer)")
        #expect(viewer.hint?.contains("pods/exec") == true)
    }

    @Test("whoever may look at pods, but not run programs or forward ports in them, is told so")
    func rights() async throws {
        let cluster = try await RealCluster()
        try await cluster.pod("db-0")
        try await cluster.kubectl("create", "role", "look", "--verb=get,list", "--resource=pods")
        try await cluster.kubectl("create", "rolebinding", "look", "--role=look", "--user=viewer")
        var settings = cluster.settings(.name("db-0"))
        settings.kubeconfig = cluster.viewerKubeconfig
        let exec = try await failed(cluster.transport(settings))
        #expect(exec.code == .sourceDenied && exec.summary.contains("pods/exec"), "\(exec)")
        let forward = try await #require(throws: Failure.self) {
            _ = try await cluster.transport(settings).connect(host: "127.0.0.1", port: 1, timeoutSeconds: 10)
        }
        #expect(forward.code == .sourceDenied && forward.summary.contains("pods/portforward"), "\(forward)")

        // The role that the documentation gives is enough.
        try await cluster.kubectl(
            "apply", "--filename", "-",
            input: """
                apiVersion: rbac.authorization.k8s.io/v1
                kind: Role
                metadata: {name: look}
                rules:
                  - {apiGroups: [""], resources: [pods], verbs: [get, list]}
                  - {apiGroups: [""], resources: [pods/exec, pods/portforward], verbs: [create, get]}
                """)
        let transport = cluster.transport(settings)
        #expect(try await transport.output(of: Program("echo", ["x"])) == Array("x\n".utf8))
    }

    @Test("a container without a shell is told")
    func bare() async throws {
        let cluster = try await RealCluster()
        let pod = try await cluster.pod("bare", command: ["sleep", "1000000"])
        try await pod.beside(["rm", "/usr/bin/sh"])
        let failure = try await failed(cluster.transport(.name("bare")))
        #expect(failure.code == .programMissing && failure.summary.hasSuffix("the container has no 'sh'"), "\(failure)")
    }

    @Test("a server in a pod is reached through a forwarded port while it is used")
    func ports() async throws {
        let cluster = try await RealCluster()
        let pod = try await cluster.pod("cache", .redis)
        let port = try ThrowawayRedis.freePort()
        try await pod.shell("redis-server --port \(port) --bind 127.0.0.1 --daemonize yes")
        let transport = cluster.transport(.name("cache"))
        let place = try await transport.reach(host: "localhost", port: port) { place in
            for number in 0..<5 {
                let answer = try await FarTransportTests.ask(place, "ECHO \(number)\r\n")
                #expect(answer == "$1\r\n\(number)\r\n")
            }
            return place
        }
        #expect(place.port != port)
        await #expect(throws: Failure.self) { _ = try await FarTransportTests.ask(place, "PING\r\n") }
        let socket = try await transport.connect(host: "127.0.0.1", port: port, timeoutSeconds: 10)
        #expect(try await Blocking.run { FarTransportTests.exchange(socket, "PING\r\n") } == "+PONG\r\n")
    }

    @Test("a pod that is deleted, or killed, half way through a stream gives no good output", arguments: [true, false])
    func death(_ isDeleted: Bool) async throws {
        let cluster = try await RealCluster()
        let pod = try await cluster.pod("mortal")
        let failure = try await #require(throws: Failure.self) {
            _ = try await cluster.transport(.name("mortal")).run(Program("sh", ["-c", "echo up; yes"])) { pipes in
                _ = try await TransportContract.readUntil(pipes, "up")
                if isDeleted {
                    try await cluster.kubectl("delete", "pod", "mortal", "--wait=false", "--grace-period=0", "--force")
                } else {
                    // Ending the first process ends the container.
                    try await pod.shell("kill -TERM 1")
                }
                return try await Blocking.run { try pipes.forEachChunk { _ in } }
            }
        }
        #expect(failure.code == .sourceUnreachable, "\(failure)")
    }

    private func failed(_ transport: any Transport) async throws -> Failure {
        try await #require(throws: Failure.self) { _ = try await transport.output(of: Program("true", [])) }
    }
}
