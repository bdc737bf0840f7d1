// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import DataFolders
import Domain
import Foundation
import Glibc
import WebServices

extension TypesenseAdapter: DrillingAdapter {
    /// A server of the folder's own, empty, at a port of 127.0.0.1 and with a key that nobody else knows; it ends with the body
    /// or with salvor.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        let (given, environment) = (settings.scratchProgram, environment)
        guard
            let program = given ?? ScratchProgram.find(["typesense-server"], in: ["/usr/bin", "/opt/typesense-server"])
        else {
            throw Failure(
                .programMissing, "this host has no Typesense to drill with (typesense-server)",
                hint: "Install it, name its program in 'restore.scratch-program', or restore into a test server with "
                    + "'salvor restore --stage-only' and a plan that reaches that one.")
        }
        let live = settings
        return try await ScratchServing.during(environment.transport) { serving in
            let server = try await ScratchTypesense.start(program, in: folder, serving) { server in
                let adapter = server.adapter(like: live, environment)
                try await ScratchProgram.waitUntilAnswering {
                    guard try await adapter.withServer({ try await $0.isHealthy() }) else {
                        throw Failure(.sourceUnreachable, "Typesense is not ready")
                    }
                }
            }
            return try await body(server.adapter(like: live, environment))
        }
    }

    func places(of restore: SourceRestore) -> [String: String] {
        scratchKey.map { ["SALVOR_DRILL_URL": settings.web.url, "SALVOR_DRILL_KEY": $0] } ?? [:]
    }
}

/// The server of a drill.
private struct ScratchTypesense: Sendable {
    let port: Int
    let key: String

    /// Gives the key of the drill's server for whichever is asked for.
    private struct Key: SecretResolver {
        let key: String

        func resolve(_ reference: SecretReference) async throws -> String { key }
    }

    static func start(
        _ program: String, in folder: String, _ serving: ScratchServing,
        until ready: @escaping @Sendable (ScratchTypesense) async throws -> Void
    ) async throws -> ScratchTypesense {
        guard chmod(folder, 0o700) == 0 else { throw Failure(.localInput, "unable to close '\(folder)' to others") }
        var problem: (any Error)?
        for attempt in 1...3 {
            let ports = try await Blocking.run { try FreePort.find(2) }
            let server = ScratchTypesense(
                port: ports[0],
                key: (0..<4).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined())
            let data = "\(folder)/data\(attempt)"
            guard mkdir(data, 0o700) == 0 else { throw Failure(.localInput, "unable to make '\(data)'") }
            // The key is in no argument, where every user could read it.
            let command = Program(
                program,
                [
                    "--data-dir=\(data)", "--api-address=127.0.0.1", "--api-port=\(ports[0])",
                    "--peering-address=127.0.0.1", "--peering-port=\(ports[1])",
                ], environment: ["TYPESENSE_API_KEY": server.key])
            do {
                try await serving.start(command, named: program) { try await ready(server) }
                return server
            } catch let failure as Failure where failure.summary.contains("ended by itself") {
                problem = failure  // it may be that somebody took a port in between
            }
        }
        throw problem ?? Failure(.restoreFailed, "no port for a Typesense to drill with")
    }

    /// With settings that lead to the server and are otherwise those of the plan.
    func adapter(like live: TypesenseSettings, _ environment: AdapterEnvironment) -> TypesenseAdapter {
        var (settings, environment) = (live, environment)
        settings.web = WebSettings(port: port)
        let mark = ConfigMark(file: "drill", line: 1, column: 1)
        settings.web.login = .key(SecretReference("the drill's own", mark: mark))
        environment.secrets = Key(key: key)
        var adapter = TypesenseAdapter(settings: settings, environment: environment)
        adapter.scratchKey = key
        return adapter
    }
}
