// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A real Typesense on 127.0.0.1, started once for the whole test process and stopped when the process ends.
///
/// The program is found in `SALVOR_TEST_TYPESENSE`, in PATH, or where `scripts/install-test-search` puts it.
public final class ThrowawayTypesense: Sendable {
    public let port: Int
    public let key: String
    private let lifeline: FileHandle
    private let directory: TemporaryDirectory

    public var url: String { "http://127.0.0.1:\(port)" }

    /// The server shared by all tests of this process.
    public static func shared() async throws -> ThrowawayTypesense { try await starting.value }

    /// A server that only one test has.
    public static func own() async throws -> ThrowawayTypesense { try await ThrowawayTypesense() }

    private static let starting = Task { try await ThrowawayTypesense() }

    private init() async throws {
        let program = try TestTool.find("typesense-server", variable: "SALVOR_TEST_TYPESENSE")
        directory = try TemporaryDirectory("typesense")
        key = UUID().uuidString
        let ports = try LoopbackSocket.freePorts(2)
        port = ports[0]
        try FileManager.default.createDirectory(atPath: directory("data"), withIntermediateDirectories: true)
        let started = try TestTool.launch(
            program,
            [
                "--data-dir", directory("data"), "--api-key", key, "--api-address", "127.0.0.1", "--api-port",
                "\(ports[0])", "--peering-address", "127.0.0.1", "--peering-port", "\(ports[1])",
            ], log: directory("log"), removing: directory.path)
        lifeline = started.lifeline
        let deadline = Date().addingTimeInterval(60)
        while Date() < deadline, started.process.isRunning {
            // Our key shows that it is ours that answers.
            if (try? call("GET", "/collections"))?.0 == 200 { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        let log = (try? String(contentsOfFile: directory("log"), encoding: .utf8)) ?? ""
        throw ShortCommand.Failed(description: "typesense does not answer: \(log.suffix(2000))")
    }

    /// Sends a request and gives status and body.
    @discardableResult
    public func call(_ method: String, _ target: String, _ body: String = "") throws -> (Int, String) {
        let request = HTTPDouble.Request(
            method: method, target: target,
            headers: [("Host", "127.0.0.1"), ("X-TYPESENSE-API-KEY", key), ("Content-Type", "application/json")],
            body: Array(body.utf8))
        let reply = try HTTPDouble.forward(request, toPort: port)
        return (reply.status, String(decoding: reply.body, as: UTF8.self))
    }
}
