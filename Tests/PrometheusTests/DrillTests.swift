// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Prometheus
import TestSupport
import Testing
import Transports

@Suite("prometheus: drills")
struct DrillTests {
    private func adapter(_ server: ThrowawayPrometheus, programs: String? = nil) throws -> any SourceAdapter {
        let (text, mark) = (AdapterSettings.text, AdapterSettings.mark)
        let live = AdapterSettings.list(["touch", "\(server.folder)/touched"])
        var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = [
            ("connection", mark, AdapterSettings.mapping(["url": text(server.url)])),
            ("restore", mark, AdapterSettings.mapping(["stop": live, "start": live])),
        ]
        if let programs { pairs.append(("programs", mark, text(programs))) }
        return try PrometheusFactory().make(
            AdapterSettings.environment("prometheus", .mapping(pairs, mark), transport: LocalTransport()))
    }

    @Test("samples come back in a server of the drill's own while the live one is gone, and answer queries there")
    func whole() async throws {
        let server = try await ThrowawayPrometheus()
        let live = try adapter(server)
        let captured = try await CapturedSource(live)
        try await server.stop()
        let restore = captured.restore()
        let (facts, answers) = try await DrilledRestore.of(restore, live) { copy in
            let places = copy.places(of: restore)
            let (url, path) = (try #require(places["SALVOR_DRILL_URL"]), try #require(places["SALVOR_DRILL_PATH"]))
            #expect(path.hasPrefix("/tmp/salvor-dr-") && url.hasPrefix("http://127.0.0.1:") && url != server.url)
            let outcome = try await StockProgram.run(
                "promtool", ["query", "instant", url, "sum(count_over_time(up[1d])) > 0"])
            #expect(outcome.status == 0, "\(outcome.errors)")
            let dumped = try await StockProgram.run("promtool", ["tsdb", "dump", path])
            #expect(dumped.status == 0 && dumped.text.contains("__name__=\"up\""), "\(dumped.errors)")
            return outcome.text
        }
        #expect(answers.contains("=>"), "\(answers)")
        #expect(facts.contains { $0.name == "samples" } && facts.allSatisfy(\.isEqual), "\(facts)")
        #expect(!FileManager.default.fileExists(atPath: "\(server.folder)/touched"), "the live server was touched")

        let bare = try TemporaryDirectory("programs")
        try FileManager.default.createSymbolicLink(atPath: bare("promtool"), withDestinationPath: "/usr/bin/promtool")
        let without = try adapter(server, programs: bare.path)
        let missing = await thrownFailure { _ = try await DrilledRestore.of(restore, without) { _ in } }
        #expect(missing?.code == .programMissing, "\(missing as Any)")
        #expect(missing?.summary.contains("no Prometheus to drill with") == true, "\(missing as Any)")
    }
}
