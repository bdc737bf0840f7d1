// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// Containers of Docker, Podman and Compose, reached with the engine's own client.
struct ContainerCarrier: Carrier {
    /// Whose client.
    enum Engine: String, Sendable {
        case docker
        case podman
    }

    /// Which container.
    enum Choice: Sendable, Equatable {
        case named(String)
        case service(String, project: String)
    }

    let engine: Engine
    let choice: Choice
    let user: String?
    let address: String?
    /// Added to the client's environment.
    let environment: [String: String]
    private let known = Remembered<String>()
    private let local = LocalTransport()

    init(
        _ engine: Engine, _ choice: Choice, user: String?, address: String?, environment: [String: String]
    ) {
        self.engine = engine
        self.choice = choice
        self.user = user
        self.address = address
        self.environment = environment
    }

    var description: String {
        switch choice {
        case .named(let name): "\(engine):\(name)"
        case .service(let service, let project): "compose:\(project)/\(service)"
        }
    }

    func shell() async throws -> Program {
        let container = try await container()
        let user = user.map { ["--user", $0] } ?? []
        return client(["exec", "--interactive"] + user + [container] + FarProtocol.shell)
    }

    func forget() async { await known.forget() }

    func client(_ arguments: [String]) -> Program {
        let option = engine == .docker ? "--host" : "--url"
        return Program(
            engine.rawValue, (address.map { [option, $0] } ?? []) + arguments, environment: environment)
    }

    /// The container's name, or the id of the only one that has the service's labels.
    func container() async throws -> String {
        guard case .service(let service, let project) = choice else {
            if case .named(let name) = choice { return name }
            return ""
        }
        return try await known.value {
            let list = client([
                "ps", "--no-trunc", "--filter", "label=com.docker.compose.project=\(project)", "--filter",
                "label=com.docker.compose.service=\(service)", "--format", "{{.ID}} {{.Names}}",
            ])
            let lines = try await asked(list).split(separator: "\n").map { $0.split(separator: " ") }
            guard let first = lines.first?.first else {
                throw Failure(
                    .sourceUnreachable, "no running container of service '\(service)' in compose project '\(project)'",
                    hint: "Start it with 'docker compose up -d \(service)', or correct 'transport' in the plan.")
            }
            guard lines.count == 1 else {
                let names = lines.compactMap { $0.dropFirst().first.map(String.init) }.sorted()
                throw Failure(
                    .sourceUnreachable,
                    "service '\(service)' of compose project '\(project)' runs in \(lines.count) containers: "
                        + names.joined(separator: ", "),
                    hint: "Name the one that is meant with 'transport: {docker: NAME}'.")
            }
            return String(first)
        }
    }

    /// What the client prints, or what its complaint means.
    func asked(_ program: Program) async throws -> String {
        let (bytes, exit) = try await local.outputAndExit(of: program)
        guard exit.isSuccess else { throw failure(exit) }
        return String(decoding: bytes, as: UTF8.self)
    }

    func failure(_ exit: ProgramExit) -> Failure {
        let start = "Start it with '\(engine) start', or correct 'transport' in the plan."
        let table: [(text: String, code: Failure.Code, problem: String, hint: String)] = [
            (
                "permission denied while trying to connect", .sourceDenied, "no permission to use the engine's socket",
                "Run salvor as root, or as a user of the group that owns the socket."
            ),
            (
                "cannot connect to", .sourceUnreachable, "the engine does not answer",
                "Is it running, and is 'engine' in the plan (or DOCKER_HOST) right?"
            ),
            ("error during connect", .sourceUnreachable, "the engine does not answer", "Is it running?"),
            ("unable to connect to podman", .sourceUnreachable, "the engine does not answer", "Is it running?"),
            (
                "no such container", .sourceUnreachable, "there is no such container",
                "Look with '\(engine) ps --all'; correct 'transport' in the plan."
            ),
            (
                "no container with name", .sourceUnreachable, "there is no such container",
                "Look with '\(engine) ps --all'; correct 'transport' in the plan."
            ),
            ("is not running", .sourceUnreachable, "the container is not running", start),
            ("container state improper", .sourceUnreachable, "the container is not running", start),
            (
                "is paused", .sourceUnreachable, "the container is paused",
                "Let it go on with '\(engine) unpause'."
            ),
            (
                "unable to find user", .sourceDenied, "the container has no user '\(user ?? "")'",
                "Correct 'user' of the transport."
            ),
            (
                "no matching entries in passwd", .sourceDenied, "the container has no user '\(user ?? "")'",
                "Correct 'user' of the transport."
            ),
            (
                "executable file not found", .programMissing, "the container has no 'sh'",
                "Salvor needs a POSIX shell beside the source; use an image that has one."
            ),
            (
                "no such file or directory", .programMissing, "the container has no 'sh'",
                "Salvor needs a POSIX shell beside the source; use an image that has one."
            ),
        ]
        return known(exit, table) ?? unknown(exit, hint: "Look with '\(engine) ps --all' and '\(engine) logs'.")
    }
}
