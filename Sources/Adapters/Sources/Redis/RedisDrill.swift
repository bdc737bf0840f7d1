// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc

extension RedisAdapter: DrillingAdapter {
    /// A server of the folder's own, empty, on a Unix socket there; it keeps nothing and ends with the body or with salvor.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        let program = settings.scratchProgram ?? "redis-server"
        let socket = "\(folder)/redis.sock"
        let databases = max(16, Int(restore.contents.restoreData["databases"]?.integer ?? 16))
        let lines =
            [
                "port 0", "unixsocket \(socket)", "unixsocketperm 700", "daemonize no", "dir \(folder)", "save \"\"",
                "appendonly no", "databases \(databases)", "logfile \(folder)/redis.log",
            ] + settings.scratchModules.map { "loadmodule \($0)" }
        try await Blocking.run {
            try DurableFile.write(lines.joined(separator: "\n") + "\n", to: "\(folder)/redis.conf")
        }
        var settings = settings
        (settings.socket, settings.host, settings.user, settings.password) = (socket, "127.0.0.1", nil, nil)
        settings.scratchProgram = program
        settings.scratchAddress = "127.0.0.1"
        let engine = RedisAdapter(settings: settings, environment: environment)
        let (result, exit) = try await environment.transport.run(Program(program, ["\(folder)/redis.conf"])) { pipes in
            try await Blocking.run { try pipes.closeInput() }
            try await engine.waitUntilAnswering()
            let result = try await body(engine)
            // The connection ends instead of an answer.
            do { _ = try await engine.live.connect().command("SHUTDOWN", "NOSAVE") } catch is Failure {
            } catch is RespRefusal {}
            return result
        }
        try exit.requireSuccess(of: Program(program, []))
        return result
    }

    func places(of restore: SourceRestore) -> [String: String] {
        settings.socket.map { ["SALVOR_DRILL_SOCKET": $0] } ?? [:]
    }

    private func waitUntilAnswering() async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            do {
                _ = try await live.connect().info()
                return
            } catch let failure as Failure {
                // Until the socket is there every attempt fails.
                guard ContinuousClock.now < deadline else {
                    throw failure.prefixed("the server of the drill does not answer")
                }
            }
            try await Task.sleep(for: .milliseconds(30))
        }
    }
}
