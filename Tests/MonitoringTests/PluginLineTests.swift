// SPDX-License-Identifier: Apache-2.0
import Domain
import Operations
import Reporting
import Testing

@Suite("The answer to Nagios and its kin")
struct PluginLineTests {
    /// `'label'=value[UOM];[warn];[crit];[min];[max]`, as the guidelines have it.
    private func performance(_ line: PluginLine) throws -> [String: String] {
        let parts = line.text.split(separator: "|", maxSplits: 1)
        let data = try #require(parts.dropFirst().first)
        let pattern = /'([^'=]+)'=((?:U|-?[0-9.]+)(?:s|B|%|c)?(?:;[0-9.]*){0,4})/
        let found = data.matches(of: pattern)
        let rest = data.replacing(pattern, with: "").filter { $0 != " " }
        #expect(rest.isEmpty, "not performance data: \(rest)")
        return Dictionary(uniqueKeysWithValues: found.map { (String($0.output.1), String($0.output.2)) })
    }

    @Test("all is well: 0, the bundle and its age")
    func fine() throws {
        let line = PluginLine([SampleEntries.healthy()])
        #expect(line.state == .ok)
        #expect(line.text.hasPrefix("SALVOR OK - nightly: \(SampleEntries.good), 5h old | "))
        #expect(
            try performance(line) == [
                "nightly age": "18000s;93600;93600;0", "nightly raw": "1048576B;;;0", "nightly stored": "4096B;;;0",
                "nightly duration": "12.5s;;;0", "nightly bundles": "12;;;0",
            ])
    }

    @Test("warnings are 1, problems 2, and the worst of all plans counts")
    func states() throws {
        var warned = SampleEntries.healthy("weekly")
        warned.warnings = ["the signer's key expires"]
        let first = PluginLine([SampleEntries.healthy(), warned])
        #expect(first.state == .warning && first.text.hasPrefix("SALVOR WARNING - weekly: the signer's key expires | "))
        var broken = SampleEntries.healthy("daily")
        broken.problems = ["it is too old", "and damaged"]
        let second = PluginLine([warned, broken])
        #expect(second.state == .critical)
        #expect(
            second.text.hasPrefix(
                "SALVOR CRITICAL - daily: it is too old; daily: and damaged; weekly: the signer's key expires | "))
    }

    @Test("no bundle at all is an undetermined age")
    func never() throws {
        var entry = Status.Entry(SampleEntries.plan(), at: SampleEntries.now)
        entry.problems = ["no complete bundle yet"]
        #expect(try performance(PluginLine([entry])) == ["nightly age": "U;93600;93600;0"])
    }

    @Test("whatever a store says, it stays one line before one bar")
    func hostile() throws {
        var entry = SampleEntries.healthy()
        entry.problems = ["first\nsecond | 'x'=0;;; \u{1b}[31m \u{202e}"]
        let line = PluginLine([entry])
        #expect(!line.text.contains("\n") && line.text.filter { $0 == "|" }.count == 1)
        #expect(!line.text.contains("\u{1b}") && !line.text.contains("\u{202e}"))
        let failure = PluginLine(Failure(.configuration, "no plan |\nthere"))
        #expect(failure.state == .unknown && failure.text == "SALVOR UNKNOWN - no plan /\\x0athere")
    }
}
