// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization

/// Debian's Prometheus in a folder of its own on 127.0.0.1, scraping itself, gone with the value and with the test process.
public final class ThrowawayPrometheus: Sendable {
    public let port: Int
    public let folder: String
    private let keeper: Keeper
    private let options: [String]
    private let running = Mutex<(process: Process, lifeline: FileHandle)?>(nil)

    public var data: String { "\(folder)/data" }
    public var url: String { "http://127.0.0.1:\(port)" }

    /// The server's command line.
    public var arguments: [String] {
        [
            "--config.file=\(folder)/prometheus.yml", "--storage.tsdb.path=\(data)",
            "--web.listen-address=127.0.0.1:\(port)",
        ] + options
    }

    public init(_ options: [String] = ["--web.enable-admin-api"]) async throws {
        folder = "/tmp/salvor-prom-\(UUID().uuidString.prefix(8).lowercased())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        keeper = try Keeper(folder: folder, nil)
        port = try ThrowawayRedis.freePort()
        self.options = options
        let text = """
            global: {scrape_interval: 200ms}
            scrape_configs:
              - job_name: self
                static_configs: [{targets: ["127.0.0.1:\(port)"]}]

            """
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/prometheus.yml"))
        try await start()
    }

    deinit { release() }

    /// Starts it, and waits until it has scraped something.
    public func start() async throws {
        let none = "\(folder)/nothing"
        let started = try TestTool.launch("/usr/bin/prometheus", arguments, log: "\(folder)/log", removing: none)
        running.withLock { $0 = started }
        let deadline = ContinuousClock.now + .seconds(40)
        while try await series() == 0 {
            guard ContinuousClock.now < deadline, started.process.isRunning else {
                // For the message only.
                let log = (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? ""
                throw Failure(.programFailed, "Prometheus does not start: \(log.suffix(800))")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Answers of a query as text; nil when nobody answers.
    public func query(_ words: String) async throws -> String? {
        let outcome = try await StockProgram.run(
            "curl", ["-sf", "--max-time", "20", "-G", "--data-urlencode", "query=\(words)", "\(url)/api/v1/query"])
        return outcome.status == 0 ? outcome.text : nil
    }

    private func series() async throws -> Int {
        guard let text = try await query("count(up)") else { return 0 }
        return text.contains("\"value\"") ? 1 : 0
    }

    public func stop() async throws {
        let process = release()
        try await Blocking.run { process?.waitUntilExit() }
    }

    @discardableResult
    private func release() -> Process? {
        running.withLock { running in
            // Closing a pipe loses nothing.
            try? running?.lifeline.close()
            defer { running = nil }
            return running?.process
        }
    }
}
