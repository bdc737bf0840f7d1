// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import TestSupport
import Testing

@Suite("The retention of plans")
struct RetentionReaderTests {
    private func plan(_ retention: String, file: String = "/nowhere/p.yaml") throws -> Plan {
        let text = smallPlan(more: "retention: \(retention)")
        return try PlanReader(adapters: PlanDirectory.knownAdapters).plan(try YAMLDocument.parse(text, file: file))
    }

    @Test("rules are read as written: numbers, durations, tags, floor and grace")
    func inline() throws {
        let policy = try #require(
            try plan(
                """
                {within: 48h, last: 2, daily: 30, monthly: 400d, minimum-good: 5, minimum-proof: checksum, grace: 1d,
                  tags: {emergency: 30d, release: forever, copy: {weekly: 4}}}
                """
            ).policy)
        #expect(policy.rules.within == 48 * 3600)
        #expect(
            policy.rules.periods == [
                RetentionRule(.last, .count(2)), RetentionRule(.daily, .count(30)),
                RetentionRule(.monthly, .seconds(400 * 86400)),
            ])
        #expect(policy.minimumGood == 5 && policy.minimumProof == .checksum && policy.grace == 86400)
        #expect(
            policy.tags == [
                "emergency": RetentionRules(within: 30 * 86400), "release": RetentionRules(isForever: true),
                "copy": RetentionRules([RetentionRule(.weekly, .count(4))]),
            ])
        #expect(try plan("~").policy == nil)
    }

    @Test(
        "what makes no sense is refused with its place",
        arguments: [
            ("{}", "keeps nothing"), ("{minimum-good: 3}", "keeps nothing"), ("{daily: 0}", "from 1 to"),
            ("{daily: -3}", "from 1 to"), ("{daily: 99999999}", "from 1 to"), ("{yearly: 101}", "from 1 to 100"),
            ("{daily: 2.5}", "whole number"), ("{daily: 12h}", "shorter than one"), ("{within: -5d}", "duration"),
            ("{within: 0s}", "duration"), ("{within: 101w300000d}", "duration"), ("{last: 30d}", "whole number"),
            ("{dayly: 3}", "unknown key 'retention.dayly'"), ("{daily: 3, grace: 10s}", "from 1h to 90d"),
            ("{daily: 3, grace: 91d}", "from 1h to 90d"), ("{daily: 3, minimum-good: 0}", "from 1 to"),
            ("{daily: 3, minimum-proof: good}", "must be one of"), ("{daily: 3, tags: {a: {}}}", "keeps nothing"),
            ("{daily: 3, tags: {a: sometimes}}", "duration"), ("{daily: 3, tags: {a: {grace: 3d}}}", "unknown key"),
            ("{daily: 3, tags: {-a: 3d}}", "no tag"), ("{daily: 3, tags: [a]}", "mapping"), ("[daily]", "mapping"),
            ("{policy: nightly, daily: 3}", "unknown key"), ("{policy: ./none.yaml}", "not there"),
            ("nigthly", "names no policy"), ("../x", "not the name"),
        ])
    func refused(_ retention: String, _ words: String) throws {
        let failure = try #require(throws: Failure.self) { _ = try plan(retention) }
        #expect(failure.code == .configuration)
        #expect(
            failure.summary.hasPrefix("/nowhere/p.yaml:6: ") && failure.summary.contains(words), "\(failure.summary)")
    }

    @Test("names are looked for beside the plan, then among those salvor brings along; files are relative to the plan")
    func files() throws {
        let folder = try TemporaryDirectory("retention")
        try folder.write("retention/mine.yaml", "daily: 3\n")
        try folder.write("retention/nightly.yaml", "daily: 4\n")
        try folder.write("retention/bad.yaml", "daily: 4\nweakly: 2\n")
        func daily(_ retention: String, _ file: String) throws -> RetentionRule.Extent? {
            try plan(retention, file: folder(file)).policy?.rules.periods.first?.extent
        }
        #expect(try daily("mine", "plans/p.yaml") == .count(3))
        #expect(try daily("nightly", "p.yaml") == .count(4))
        #expect(try daily("{policy: mine}", "p.yaml") == .count(3))
        #expect(try daily("{policy: retention/mine.yaml}", "p.yaml") == .count(3))
        #expect(try daily("{policy: \(folder("retention/mine.yaml"))}", "plans/p.yaml") == .count(3))
        #expect(try plan("gfs", file: folder("p.yaml")).policy?.rules.periods.count == 4)
        let failure = try #require(throws: Failure.self) { _ = try plan("bad", file: folder("p.yaml")) }
        #expect(
            failure.summary.hasPrefix("\(folder("retention/bad.yaml")):2: ") && failure.hint == "Did you mean 'weekly'?"
        )
    }
}
