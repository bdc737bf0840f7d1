// SPDX-License-Identifier: Apache-2.0
import Domain
import Monitoring
import Operations
import TestSupport
import Testing

/// The exposition format, checked by Prometheus's own tool, and what the metrics say.
@Suite("Metrics")
struct MetricsTests {
    private func text(_ entries: [Status.Entry]) -> String {
        PrometheusText.render(StatusMetrics.families(entries, version: "1.2.3"))
    }

    /// Fails when promtool finds a mistake, or a breach of Prometheus's conventions.
    private func check(_ text: String) async throws {
        let outcome = try await StockProgram.run("promtool", ["check", "metrics"], input: Array(text.utf8))
        #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)\(outcome.text)")
    }

    @Test("promtool finds nothing to say about names, units, help and format")
    func conventions() async throws {
        var failed = SampleEntries.healthy("weekly")
        failed.sources[0].failure = RecordedFailure(code: "source.failed", message: "no")
        failed.proof = ProofStanding(isVerified: true)
        failed.problems = ["one", "two"]
        let text = text([SampleEntries.healthy(), failed])
        try await check(text)
        for line in [
            "salvor_build_info{version=\"1.2.3\",format=\"1\"} 1",
            "salvor_last_success_timestamp_seconds{plan=\"nightly\"} 1795212000",
            "salvor_backup_expected_interval_seconds{plan=\"nightly\"} 93600",
            "salvor_repository_up{plan=\"nightly\"} 1", "salvor_bundle_stored_bytes{plan=\"nightly\"} 4096",
            "salvor_bundle_duration_seconds{plan=\"nightly\"} 12.5",
            "salvor_source_failed{plan=\"weekly\",source=\"app-db\"} 1",
            "salvor_source_failed{plan=\"weekly\",source=\"config\"} 0",
            "salvor_run_outcome{plan=\"nightly\",kind=\"backup\",outcome=\"ok\"} 1",
            "salvor_run_outcome{plan=\"nightly\",kind=\"backup\",outcome=\"failed\"} 0",
            "salvor_proof_timestamp_seconds{plan=\"nightly\",level=\"presence\"} 1795229940",
            "salvor_proof_timestamp_seconds{plan=\"nightly\",level=\"contents\"} 0",
            "salvor_key_expiry_timestamp_seconds{plan=\"nightly\",role=\"recipient\",fingerprint=\"AB12\"} 1821150000",
            "salvor_problems{plan=\"weekly\"} 2", "salvor_repository_free_bytes{plan=\"nightly\"} 1099511627776",
            "salvor_source_usual_raw_bytes{plan=\"nightly\",source=\"config\"} 524288",
        ] { #expect(text.contains("\n\(line)\n"), "\(line)\n\(text)") }
        #expect(!text.contains("role=\"signer\""), "a key that never ends has no end")
    }

    @Test("a plan that never ran is overdue at once, and says nothing of sizes that are not there")
    func never() async throws {
        var entry = Status.Entry(SampleEntries.plan(), at: SampleEntries.now)
        entry.isReachable = true
        let text = text([entry])
        try await check(text)
        #expect(text.contains("salvor_last_success_timestamp_seconds{plan=\"nightly\"} 0\n"))
        #expect(text.contains("salvor_source_last_success_timestamp_seconds{plan=\"nightly\",source=\"app-db\"} 0\n"))
        #expect(text.contains("salvor_drill_timestamp_seconds{plan=\"nightly\"} 0\n"))
        #expect(!text.contains("_duration_seconds{") && !text.contains("salvor_bundle_raw_bytes"))
    }

    @Test("of a repository that does not answer only what is known is told")
    func unreachable() async throws {
        var entry = SampleEntries.healthy()
        entry.isReachable = false
        let text = text([entry])
        try await check(text)
        #expect(text.contains("salvor_repository_up{plan=\"nightly\"} 0\n"))
        #expect(text.contains("salvor_last_success_timestamp_seconds{plan=\"nightly\"} 1795212000\n"))
        #expect(!text.contains("salvor_repository_bundles") && !text.contains("salvor_proof_timestamp_seconds"))
        entry.lastGood = nil
        #expect(!self.text([entry]).contains("salvor_last_success"), "not to know is not never")
    }

    @Test("label values may hold anything")
    func escaping() async throws {
        var family = MetricFamily("salvor_test_info", "A back\\slash and\na line.")
        family.add(.infinity, [.init("plan", "a\"b\\c\nd é { } , ="), .init("other", "")])
        family.add(-.infinity, [])
        family.add(.nan, [.init("plan", "x")])
        family.add(1e300, [.init("plan", "y")])
        family.add(nil, [.init("plan", "z")])
        let text = PrometheusText.render([family, MetricFamily("salvor_empty", "Without samples.")])
        try await check(text)
        #expect(
            text == """
                # HELP salvor_test_info A back\\\\slash and\\na line.
                # TYPE salvor_test_info gauge
                salvor_test_info{plan="a\\"b\\\\c\\nd é { } , =",other=""} +Inf
                salvor_test_info -Inf
                salvor_test_info{plan="x"} NaN
                salvor_test_info{plan="y"} 1e+300

                """)
    }
}
