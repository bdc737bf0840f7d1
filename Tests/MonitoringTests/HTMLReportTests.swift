// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Operations
import Reporting
import TestSupport
import Testing

/// The page, as an XML parser sees it: what a person sees was looked at once by hand.
@Suite("The report as a page")
struct HTMLReportTests {
    private static let now = SampleEntries.now

    private func manifest(
        _ day: Int64, state: Manifest.State = .complete, tags: [String] = [], comment: String = ""
    ) -> Manifest {
        let started = Self.now.adding(-day * 86_400)
        let stream = Manifest.Stream(
            name: "tree", kind: .tar, storage: .full, base: nil, segments: 1, rawBytes: UInt64(1000 + day),
            storedBytes: UInt64(100 + day))
        let source = Manifest.Source(
            name: "config", adapter: "files", engine: "", state: .ok, started: started,
            finished: started.adding(5), streams: [stream])
        return Manifest(
            format: 1, id: BundleID(plan: "nightly", started: started, suffix: "aaaaaa"), plan: "nightly", host: "h",
            tool: "t", repository: "r", started: started, finished: started.adding(10 + day), state: state,
            sources: [source], tags: tags, comment: comment, previous: nil, objects: [:], recipients: [], signer: "",
            proof: .decode)
    }

    private func claim(_ level: ProofLevel, proven: Bool = true) -> ProofStanding {
        var standing = ProofStanding(isVerified: false)
        let word = proven ? "proven" : "problems"
        let claim = ProofClaim(name: "\(Self.now.compact)-\(level.rawValue)-\(word)-aaaaaa")
        if proven { standing.proven = claim } else { standing.problems = claim }
        return standing
    }

    private func bundle(_ manifest: Manifest, _ proof: ProofStanding? = nil) -> PlanReport.Bundle {
        PlanReport.Bundle(id: manifest.id, manifest: manifest, proof: proof ?? ProofStanding(isVerified: false))
    }

    private func run(_ day: Int64, _ outcome: RunRecord.Outcome, _ message: String? = nil) -> RunRecord {
        let id = BundleID(plan: "nightly", started: Self.now.adding(-day * 86_400), suffix: "aaaaaa")
        var record = RunRecord(id: id, kind: .backup, isWhole: true, host: "h", tool: "t")
        record.outcome = outcome
        record.finished = record.started.adding(7)
        record.failure = message.map { RecordedFailure(code: "source.failed", message: $0, hint: "Look.") }
        return record
    }

    /// Elements, attributes and words, by Python's own parser of XML: it takes nothing that is not well-formed.
    private struct Parsed: Decodable {
        var elements: [String: Int]
        var attributes: [String: [String]]
        var text: String
    }

    private func parse(_ page: String) async throws -> Parsed {
        let script = """
            import sys, json, collections, xml.etree.ElementTree as tree
            root = tree.fromstring(sys.stdin.buffer.read())
            elements, attributes = collections.Counter(), collections.defaultdict(list)
            for node in root.iter():
                elements[node.tag] += 1
                for name, value in node.attrib.items(): attributes[name].append(value)
            print(json.dumps({'elements': elements, 'attributes': attributes, 'text': ''.join(root.itertext())}))
            """
        let outcome = try await StockProgram.run("python3", ["-c", script], input: Array(page.utf8))
        #expect(outcome.status == 0, "\(outcome.errors)\(page)")
        return try JSONDecoder().decode(Parsed.self, from: Data(outcome.output))
    }

    private func render(_ reports: [PlanReport], host: String = "db-1") throws -> String {
        try HTMLReport.render(reports, host: host, version: "1.2.3", at: Self.now)
    }

    @Test("half a year of nights: each day is a square of its own kind, each bundle a bar")
    func calendar() async throws {
        let bundles = [
            bundle(manifest(7), claim(.drill)), bundle(manifest(5)), bundle(manifest(4), claim(.checksum)),
            bundle(manifest(3), claim(.contents)),
            bundle(manifest(2, state: .partial)), bundle(manifest(1), claim(.checksum, proven: false)),
        ]
        let runs = [run(6, .failed, "the server is gone"), run(2, .partial), run(1, .ok)]
        let page = try render([PlanReport(status: SampleEntries.healthy(), bundles: bundles, runs: runs)])
        let parsed = try await parse(page)
        let kinds = parsed.attributes["class"] ?? []
        // One more of each is in the legend.
        for (kind, count) in [
            ("made", 2), ("checksum", 2), ("contents", 2), ("drill", 2), ("partial", 2), ("damaged", 2), ("failed", 2),
            ("presence", 1),
        ] { #expect(kinds.count { $0 == kind } == count, "\(kind)") }
        // Weeks begin on Monday; the last one is not over.
        let days = kinds.count { CalendarKinds.all.contains($0) } - CalendarKinds.all.count
        #expect((25 * 7 + 1...26 * 7).contains(days), "\(days)")
        #expect(kinds.count { $0 == "bar" } == 3 * 5, "the partial one has no bar")
        #expect(parsed.text.contains("run failed: the server is gone"))
        #expect(parsed.text.contains("\(manifest(3).id) complete, proven: contents"))
        #expect(parsed.text.contains("Look."))
    }

    @Test("names of months never lie over one another", arguments: 0..<31)
    func months(_ day: Int64) throws {
        let page = try HTMLReport.render(
            [PlanReport(status: SampleEntries.healthy(), bundles: [], runs: [])], host: "db-1", version: "1.2.3",
            at: Self.now.adding(day * 86_400))
        let places = page.matches(of: /<text x="(\d+)" y="11">[A-Z]/).compactMap { Int($0.1) }
        #expect((5...7).contains(places.count), "\(places)")
        for (one, next) in zip(places, places.dropFirst()) { #expect(next - one >= 30, "\(places)") }
    }

    private enum CalendarKinds {
        static let all = ["none", "made", "presence", "checksum", "contents", "drill", "partial", "failed", "damaged"]
    }

    @Test("the page is complete in itself: no scripts, no frames, nothing fetched from anywhere")
    func selfContained() async throws {
        let page = try render([
            PlanReport(status: SampleEntries.healthy(), bundles: [bundle(manifest(1))], runs: [run(1, .ok)])
        ])
        let parsed = try await parse(page)
        for element in ["script", "link", "img", "iframe", "object", "embed", "base", "form"] {
            #expect(parsed.elements[element] == nil, "\(element)")
        }
        for attribute in ["src", "href", "action", "data", "style", "background"] {
            for value in parsed.attributes[attribute] ?? [] { #expect(value.hasPrefix("#"), "\(attribute)=\(value)") }
        }
        #expect(!page.contains("url(") && !page.contains("@import") && !page.contains("://fonts"))
        #expect(page.contains("default-src 'none'"))
    }

    @Test(
        "whatever names, remarks and messages hold, they stay text",
        arguments: [
            "\"><script>alert(1)</script>", "' onmouseover='x", "\"\u{301} onload=\u{301}\"x\"",
            "<\u{301}b>&\u{301}amp;",
            "</style><b>", "</title></svg>", "{{name}} {{{host}}} {{#plans}}", "]]> <!-- --> <![CDATA[", "&#60;&lt;",
            "\u{0}\u{7}\u{1b}[2J\u{202e}abc\u{FFFE}\u{FFFF}", "a\u{2028}b\nc\td", "\u{1F4BE} é ñ 漢",
        ])
    func hostile(_ text: String) async throws {
        let plain = PlanReport(
            status: SampleEntries.healthy(), bundles: [bundle(manifest(1, tags: ["t"], comment: "c"))],
            runs: [run(1, .failed, "m")])
        var status = SampleEntries.healthy()
        status.plan = text
        status.repository = text
        status.problems = [text]
        status.warnings = [text]
        status.sources[0].name = text
        status.sources[0].adapter = text
        status.sources[0].failure = RecordedFailure(code: text, message: text)
        let report = PlanReport(
            status: status, bundles: [bundle(manifest(1, tags: [text], comment: text))],
            runs: [run(1, .failed, text)], missing: text + "!")
        let expected = try await parse(try render([plain]))
        let parsed = try await parse(try render([report], host: text))
        // Only the list of findings is more than in the harmless page.
        var elements = parsed.elements
        #expect(elements.removeValue(forKey: "ul") == 1 && elements.removeValue(forKey: "li") == 3)
        #expect(elements == expected.elements, "an element came or went")
        #expect(Set(parsed.attributes.keys) == Set(expected.attributes.keys))
        if text.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value < 0x2000 }) {
            #expect(parsed.text.contains(text), "it reads as it is")
        }
    }

    @Test("plans without bundles and repositories that do not answer have their place")
    func empty() async throws {
        var status = Status.Entry(SampleEntries.plan(), at: Self.now)
        status.problems = ["no complete bundle yet"]
        let page = try render([
            PlanReport(status: status, bundles: [], runs: [], missing: "the store did not answer"),
            PlanReport(status: SampleEntries.healthy("weekly"), bundles: [], runs: []),
        ])
        let parsed = try await parse(page)
        for words in ["does not answer", "the store did not answer", "There are none.", "None is remembered.", "never"]
        {
            #expect(parsed.text.contains(words), "\(words)")
        }
        #expect(parsed.attributes["id"] == ["plan-1", "plan-2"])
        #expect(try await parse(try render([])).text.contains("Backups of db-1"))
    }
}
