// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Transports

@Suite("Kubernetes")
struct KubernetesTests {
    private let named = KubernetesSettings(namespace: "prod", pod: .name("db-0"), context: "prod")

    @Test("programs behave as local ones do")
    func contract() async throws {
        let cluster = try KubectlStandIn()
        try cluster.pod("db-0")
        try await TransportContract(transport: cluster.transport(named)) { command in
            String(decoding: try await LocalTransport().output(of: Program("sh", ["-c", command])), as: UTF8.self)
        }.all()
        #expect(cluster.calls.allSatisfy { $0.contains("--namespace prod") && $0.contains("--context prod") })
    }

    @Test("a stream that is lost after any number of bytes is no good output, though kubectl exits with 0")
    func lost() async throws {
        let cluster = try KubectlStandIn()
        try cluster.pod("db-0")
        let transport = cluster.transport(named)
        for how in ["lose:0", "lose:20", "lose:60", "lose:5000", "lose:70000", "late:5000", "die:5000", "die:70000"] {
            try cluster.misbehave(how)
            let failure = try await #require(throws: Failure.self, "\(how)") {
                try await transport.output(of: Program("head", ["-c", "70000", "/dev/zero"]))
            }
            #expect(failure.code == .sourceUnreachable, "\(how): \(failure)")
        }
        try cluster.behave()
        #expect(try await transport.output(of: Program("head", ["-c", "70000", "/dev/zero"])).count == 70000)
    }

    @Test("a pod is found by its labels when only one runs, and its container when it has one")
    func choice() async throws {
        let cluster = try KubectlStandIn()
        let settings = KubernetesSettings(namespace: "prod", pod: .selector("app=db"))
        func failed(_ settings: KubernetesSettings) async throws -> Failure {
            try await #require(throws: Failure.self) {
                try await cluster.transport(settings).output(of: Program("true", []))
            }
        }
        #expect(try await failed(settings).summary == "kubernetes:prod/{app=db}: no pod matches")
        try cluster.pod("db-a", labels: ["app": "db"], phase: "Pending")
        try cluster.pod("db-b", labels: ["app": "db"], terminating: true)
        #expect(
            try await failed(settings).summary
                == "kubernetes:prod/{app=db}: no running pod: db-a is Pending, db-b is terminating")
        try cluster.pod("db-a", labels: ["app": "db"])
        #expect(try await cluster.transport(settings).output(of: Program("echo", ["x"])) == Array("x\n".utf8))
        try cluster.pod("db-c", labels: ["app": "db"])
        #expect(
            try await failed(settings).summary
                == "kubernetes:prod/{app=db}: 2 running pods match: db-a, db-c")
        try cluster.pod("db-d", containers: ["server", "proxy"])
        var pod = KubernetesSettings(namespace: "prod", pod: .name("db-d"))
        #expect(
            try await failed(pod).summary == "kubernetes:prod/db-d: pod 'db-d' has 2 containers: server, proxy")
        pod.container = "servr"
        #expect(try await failed(pod).hint == "Did you mean 'server'?")
        pod.container = "server"
        #expect(try await cluster.transport(pod).output(of: Program("echo", ["x"])) == Array("x\n".utf8))
    }

    @Test("what a cluster refuses is told with a remedy")
    func refusals() async throws {
        let cluster = try KubectlStandIn()
        try cluster.pod("db-0")
        try cluster.pod("done", phase: "Succeeded")
        func failed(_ settings: KubernetesSettings) async throws -> Failure {
            let failure = try await #require(throws: Failure.self) {
                try await cluster.transport(settings).output(of: Program("true", []))
            }
            #expect(failure.hint != nil)
            return failure
        }
        let missing = try await failed(KubernetesSettings(namespace: "prod", pod: .name("db-9")))
        #expect(missing.summary == "kubernetes:prod/db-9: there is no such pod")
        let done = try await failed(KubernetesSettings(namespace: "prod", pod: .name("done")))
        #expect(done.summary == "kubernetes:prod/done: no running pod: done is Succeeded")
        let context = try await failed(KubernetesSettings(namespace: "prod", pod: .name("db-0"), context: "test"))
        #expect(context.summary.contains("context \"test\" does not exist"))
        let kubeconfig = try await failed(
            KubernetesSettings(namespace: "prod", pod: .name("db-0"), kubeconfig: "/nowhere/kubeconfig"))
        #expect(kubeconfig.code == .sourceUnreachable && kubeconfig.summary.contains("kubeconfig"), "\(kubeconfig)")
        for (mood, code, words) in [
            ("forbid", Failure.Code.sourceDenied, "pods is forbidden"), ("forbid-use", .sourceDenied, "pods/exec"),
            ("unauthorized", .sourceDenied, "does not accept the credentials"),
            ("down", .sourceUnreachable, "the API server does not answer"),
            ("noshell", .programMissing, "the container has no 'sh'"),
        ] {
            try cluster.misbehave(mood)
            let failure = try await failed(named)
            #expect(failure.code == code, "\(failure)")
            #expect(failure.summary.contains(words), "\(failure)")
        }
    }

    @Test("a port of the pod is forwarded while it is used")
    func ports() async throws {
        let cluster = try KubectlStandIn()
        try cluster.pod("db-0")
        let redis = try ThrowawayRedis()
        let transport = cluster.transport(named)
        let place = try await transport.reach(host: "localhost", port: redis.port) { place in
            for _ in 0..<3 {
                let answer = try await FarTransportTests.ask(place, "PING\r\n")
                #expect(answer == "+PONG\r\n")
            }
            return place
        }
        await #expect(throws: Failure.self) { _ = try await FarTransportTests.ask(place, "PING\r\n") }
        let descriptor = try await transport.connect(host: "127.0.0.1", port: redis.port, timeoutSeconds: 10)
        #expect(try await Blocking.run { FarTransportTests.exchange(descriptor, "ECHO hi\r\n") } == "$2\r\nhi\r\n")
        let other = try await #require(throws: Failure.self) {
            _ = try await transport.connect(host: "10.0.0.9", port: redis.port, timeoutSeconds: 10)
        }
        #expect(other.hint?.contains("127.0.0.1") == true)
        try cluster.misbehave("forbid-use")
        let refused = try await #require(throws: Failure.self) {
            _ = try await transport.connect(host: "127.0.0.1", port: redis.port, timeoutSeconds: 10)
        }
        #expect(refused.code == .sourceDenied && refused.summary.contains("pods/portforward"), "\(refused)")
    }
}
