// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import Testing

@Suite("Transports in plans")
struct TransportReaderTests {
    private func plan(_ transport: String) throws -> Plan {
        let text = smallPlan().replacingOccurrences(
            of: "adapter: files", with: "adapter: files, transport: \(transport)")
        return try PlanReader(adapters: ["files"]).plan(try YAMLDocument.parse(text, file: "p.yaml"))
    }

    static let examples: [(text: String, settings: TransportSettings)] = [
        ("local", .local),
        ("{docker: db}", .docker(ContainerSettings(container: "db"))),
        (
            "{docker: {container: db, user: \"999:999\", engine: \"unix:///run/d.sock\"}}",
            .docker(ContainerSettings(container: "db", user: "999:999", engine: "unix:///run/d.sock"))
        ),
        ("{podman: db}", .podman(ContainerSettings(container: "db"))),
        ("{compose: {project: shop, service: db}}", .compose(ComposeSettings(project: "shop", service: "db"))),
        (
            "{kubernetes: {namespace: prod, pod: db-0, container: server}}",
            .kubernetes(KubernetesSettings(namespace: "prod", pod: .name("db-0"), container: "server"))
        ),
        (
            "{kubernetes: {selector: \"app=db,tier in (a, b)\", context: c, kubeconfig: /etc/k}}",
            .kubernetes(KubernetesSettings(pod: .selector("app=db,tier in (a, b)"), context: "c", kubeconfig: "/etc/k"))
        ),
        ("{ssh: db.example.com}", .ssh(SSHSettings(host: "db.example.com"))),
        ("{ssh: backup@db}", .ssh(SSHSettings(host: "db", user: "backup"))),
        (
            "{ssh: {host: db, user: backup, port: 2222, identity: /etc/k, known-hosts: /etc/h}}",
            .ssh(SSHSettings(host: "db", user: "backup", port: 2222, identity: "/etc/k", knownHosts: "/etc/h"))
        ),
    ]

    @Test("every form is read, and what is printed reads the same again", arguments: 0..<10)
    func forms(_ index: Int) throws {
        let form = Self.examples[index]
        let read = try plan(form.text)
        #expect(read.sources[0].transport == form.settings)
        let again = try PlanReader(adapters: ["files"]).plan(
            try YAMLDocument.parse(try ConfigPrinter.yaml(read), file: "again.yaml"))
        #expect(again.sources[0].transport == form.settings)
    }

    @Test(
        "mistakes are told with place and remedy",
        arguments: [
            ("dockr", "p.yaml:5: 'sources[0].transport' knows no 'dockr'", "Did you mean 'docker'?"),
            (
                "{docker: }", "p.yaml:5: 'sources[0].transport' 'docker' does not say what to reach",
                "{docker: CONTAINER}"
            ),
            ("{docker: \"-v\"}", "p.yaml:5: 'sources[0].transport' '-v' cannot be a name", "begins with no '-'"),
            ("{docker: {contaner: db}}", "p.yaml:5: unknown key 'sources[0].transport.docker.contaner'", "'container'"),
            ("{docker: a, podman: b}", "p.yaml:5: 'sources[0].transport' must be 'local' or a mapping", ""),
            ("{compose: shop}", "p.yaml:5: 'sources[0].transport' 'compose' needs a project", "{compose: {project"),
            ("{compose: {project: shop}}", "p.yaml:5: 'sources[0].transport.compose.service' is required", ""),
            (
                "{kubernetes: {namespace: a}}", "p.yaml:5: 'sources[0].transport.kubernetes' needs 'pod' or",
                "Name the pod"
            ),
            (
                "{kubernetes: {pod: a, selector: b}}",
                "p.yaml:5: 'sources[0].transport.kubernetes.selector' cannot be given together", "Keep one"
            ),
            ("{ssh: {host: a, port: 0}}", "p.yaml:5: 'sources[0].transport.ssh.port' must be a whole number", ""),
            ("{ssh: \"-oProxyCommand=x\"}", "p.yaml:5: 'sources[0].transport' '-oProxyCommand=x' cannot be a name", ""),
            ("{ssh: {host: a@b, user: c}}", "p.yaml:5: 'sources[0].transport.ssh.host' names a user twice", ""),
            ("{ssh: \"a@-b\"}", "p.yaml:5: 'sources[0].transport' '-b' cannot be a name", ""),
            (
                "{ssh: {host: a, identity: key}}", "p.yaml:5: 'sources[0].transport.ssh.identity' must be an absolute",
                ""
            ),
        ])
    func mistakes(_ text: String, _ summary: String, _ hint: String) throws {
        let failure = try #require(throws: Failure.self) { _ = try plan(text) }
        #expect(failure.code == .configuration)
        #expect(failure.summary.hasPrefix(summary), "\(failure)")
        #expect(hint.isEmpty || failure.hint?.contains(hint) == true, "\(failure.hint ?? "no hint")")
    }
}
