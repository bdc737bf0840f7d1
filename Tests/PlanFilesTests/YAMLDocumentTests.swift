// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import Testing
import TestSupport

@Suite("YAML documents")
struct YAMLDocumentTests {
    @Test("every node knows its line, and quoted text is told from plain")
    func places() throws {
        let document = try YAMLDocument.parse("a: 5\nb:\n  - \"5\"\n", file: "x.yaml")
        guard case .mapping(let pairs, _) = document, case .scalar("5", false, let first) = pairs[0].value,
            case .sequence(let list, _) = pairs[1].value, case .scalar("5", true, let second) = list[0]
        else {
            Issue.record("unexpected nodes: \(document)")
            return
        }
        #expect(first.line == 1)
        #expect(second.line == 3)
        #expect(pairs[1].mark.line == 2)
        #expect(second.description == "x.yaml:3")
    }

    @Test(
        "what is not one plain document is refused with its place",
        arguments: [
            ("a: 1\nb: 2\na: 3\n", "key 'a' is given twice"),
            ("a: 1\n\"a\": 3\n", "key 'a' is given twice"),
            ("a: [1\n", "x.yaml:2: not valid YAML"),
            ("a: 1\n---\nb: 2\n", "a file holds one document only"),
            ("a: !vault abc\n", "the tag '!vault' means nothing here"),
            ("a: *nothing\n", "x.yaml:1: found undefined alias"),
            ("[a]: 1\n", "x.yaml:1: a key must be text"),
            ("", "x.yaml:1: the document is empty"),
            ("\ta: 1", "not valid YAML"),
        ])
    func refused(_ text: String, _ summary: String) throws {
        let failure = try #require(throws: Failure.self) { _ = try YAMLDocument.parse(text, file: "x.yaml") }
        #expect(failure.code == .configuration)
        #expect(failure.summary.contains(summary), "\(failure.summary)")
    }

    @Test("aliases that unfold without end are refused")
    func laughs() throws {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...8 {
            let items = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(items)]\n"
        }
        let failure = try #require(throws: Failure.self) { _ = try YAMLDocument.parse(text, file: "x.yaml") }
        #expect(failure.summary.contains("unfolds to more than"))
    }

    @Test("a file that is not there or not text is told by name")
    func unreadable() throws {
        let folder = try TemporaryDirectory()
        let missing = try #require(throws: Failure.self) { _ = try YAMLDocument.read(folder("none.yaml")) }
        #expect(missing.summary == "unable to read '\(folder("none.yaml"))': no such file or directory")
        try Data([0x61, 0x3a, 0x20, 0xff, 0xfe]).write(to: URL(fileURLWithPath: folder("bytes.yaml")))
        let bytes = try #require(throws: Failure.self) { _ = try YAMLDocument.read(folder("bytes.yaml")) }
        #expect(bytes.summary.contains("is not UTF-8 text"))
    }
}
