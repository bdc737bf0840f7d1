// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import DataFolders
import Domain
import Foundation
import Synchronization

extension PrometheusAdapter: DrillingAdapter {
    /// A storage folder of the folder's own. A server starts on it, at a port of 127.0.0.1, when the copy is promoted, and ends
    /// with the body or with salvor.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        // Without them nothing but the blocks' own descriptions would be compared.
        for name in ["promtool", "prometheus"] {
            let path = settings.programs.map { "\($0)/\(name)" } ?? name
            do {
                _ = try await environment.transport.outputAndExit(of: Program(path, ["--version"]), limit: 64 << 10)
            } catch let failure as Failure where failure.code == .programMissing {
                throw Failure(
                    .programMissing, "this host has no Prometheus to drill with ('\(path)')",
                    hint: "Install it, name its folder in 'programs', or hold the drill on a host that has it.")
            }
        }
        let (settings, environment) = (ScratchPrometheus.settings(in: folder, like: settings), environment)
        return try await ScratchServing.during(environment.transport) { serving in
            var adapter = PrometheusAdapter(settings: settings, environment: environment)
            adapter.scratch = ScratchPrometheus(folder: folder, programs: settings.programs, serving: serving)
            return try await body(adapter)
        }
    }

    func places(of restore: SourceRestore) -> [String: String] {
        var places = ["SALVOR_DRILL_PATH": settings.dataDirectory ?? ""]
        if let port = scratch?.port { places["SALVOR_DRILL_URL"] = ScratchPrometheus.url(port) }
        return places
    }
}

/// The server of a drill. It scrapes nothing and keeps everything.
final class ScratchPrometheus: Sendable {
    private let folder: String
    private let program: String
    private let serving: ScratchServing
    private let chosen = Mutex<Int?>(nil)

    /// nil: it was not started yet.
    var port: Int? { chosen.withLock { $0 } }

    init(folder: String, programs: String?, serving: ScratchServing) {
        self.folder = folder
        program = programs.map { "\($0)/prometheus" } ?? "prometheus"
        self.serving = serving
    }

    static func url(_ port: Int) -> String { "http://127.0.0.1:\(port)" }

    /// Settings that lead to the server and are otherwise those of the plan.
    static func settings(in folder: String, like live: PrometheusSettings) -> PrometheusSettings {
        var settings = live
        (settings.host, settings.prefix, settings.url) = ("127.0.0.1", "", "http://127.0.0.1")
        (settings.user, settings.password, settings.authorityFile) = (nil, nil, nil)
        settings.dataDirectory = "\(folder)/data"
        (settings.stop, settings.start) = (nil, nil)
        return settings
    }

    /// Starts it on the promoted copy.
    ///
    /// - Parameter ready: returns when the server at that port answers.
    func start(until ready: @escaping @Sendable (Int) async throws -> Void) async throws {
        let configuration = "\(folder)/prometheus.yml"
        try await Blocking.run { [folder] in
            guard FileManager.default.createFile(atPath: configuration, contents: Data("scrape_configs: []\n".utf8))
            else { throw Failure(.localInput, "unable to write '\(configuration)' in '\(folder)'") }
        }
        for attempt in 1...3 {
            let port = try await Blocking.run { try FreePort.find(1)[0] }
            let command = Program(
                program,
                [
                    "--config.file=\(configuration)", "--storage.tsdb.path=\(folder)/data",
                    // What is older than its retention would be removed.
                    "--storage.tsdb.retention.time=100y", "--web.listen-address=127.0.0.1:\(port)", "--log.level=error",
                ])
            do {
                try await serving.start(command, named: program) { try await ready(port) }
                chosen.withLock { $0 = port }
                return
            } catch let failure as Failure where attempt < 3 && failure.summary.contains("address already in use") {
                continue  // somebody took the port in between
            }
        }
    }
}
