// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import Testing
import TestSupport

/// The smallest plan that is right, with `more` at its end.
func smallPlan(_ name: String = "nightly", more: String = "") -> String {
    """
    plan: \(name)
    repository: {store: "file:///srv/backups"}
    encryption: {recipients: [0123456789ABCDEF0123456789ABCDEF01234567]}
    sources:
      - {name: config, adapter: files, paths: [/etc/app]}
    \(more)
    """
}

private func failure(_ text: String) throws -> Failure {
    let document = try YAMLDocument.parse(text, file: "p.yaml")
    return try #require(throws: Failure.self) {
        _ = try PlanReader(adapters: PlanDirectory.knownAdapters).plan(document)
    }
}

@Suite("Plan documents")
struct PlanReaderTests {
    @Test("the example plan is read whole")
    func example() throws {
        let plan = try #require(try PlanDirectory.load(ExampleFiles.path("manifests/plans/nightly.yaml")).plans.first)
        #expect(plan.name == "nightly")
        #expect(plan.repository.store == "s3://acme-backups/prod")
        #expect(plan.repository.s3.endpoint == "https://s3.example.com")
        #expect(plan.repository.s3.addressing == .path)
        #expect(plan.repository.s3.accessKey?.kind == .environment("AWS_ACCESS_KEY_ID"))
        #expect(
            plan.encryption.recipients == ["0123456789ABCDEF0123456789ABCDEF01234567", "file:/etc/salvor/ops-2.asc"])
        #expect(plan.encryption.signer == "FEDCBA9876543210FEDCBA9876543210FEDCBA98")
        #expect(plan.encryption.proof == .decode)
        #expect(plan.sources.map(\.name) == ["app-db", "cache", "search", "config"])
        #expect(plan.sources.map(\.adapter) == ["postgresql", "redis", "sqlite", "files"])
        #expect(plan.keepsLocalBase)
        #expect(plan.objectives == Objectives(recoveryPoint: 26 * 3600, recoveryTime: 3600, drillEvery: 30 * 86400))
    }

    @Test("a source's own settings come without the shared keys, with their places")
    func sourceSettings() throws {
        let document = try YAMLDocument.parse(smallPlan(), file: "p.yaml")
        let source = try #require(
            try PlanReader(adapters: ["files"]).plan(document).sources.first)
        guard case .mapping(let pairs, let mark) = source.settings else {
            Issue.record("not a mapping")
            return
        }
        #expect(pairs.map(\.key) == ["paths"])
        #expect(mark.line == 5)
        #expect(mark.file == "p.yaml")
    }

    @Test("what is left out has its stated default")
    func defaults() throws {
        let plan = try PlanReader(adapters: ["files"]).plan(try YAMLDocument.parse(smallPlan(), file: "p.yaml"))
        #expect(plan.keepsLocalBase)
        #expect(plan.objectives == Objectives())
        #expect(plan.encryption.proof == .decode)
    }

    @Test("local-base and prove are read")
    func switches() throws {
        let text = smallPlan(more: "local-base: off").replacingOccurrences(
            of: "34567]}", with: "34567], prove: contents}")
        let plan = try PlanReader(adapters: ["files"]).plan(try YAMLDocument.parse(text, file: "p.yaml"))
        #expect(!plan.keepsLocalBase)
        #expect(plan.encryption.proof == .contents)
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        var summary: String
        var hint: String?
        var testDescription: String { name }

        init(_ name: String, _ text: String, _ summary: String, _ hint: String? = nil) {
            (self.name, self.text, self.summary, self.hint) = (name, text, summary, hint)
        }
    }

    static let mistakes = [
        Mistake(
            "unknown key", smallPlan(more: "retentoin: x"), "p.yaml:6: unknown key 'retentoin'",
            "Did you mean 'retention'?"),
        Mistake(
            "unknown nested key", smallPlan(more: "objectives: {recovery-pont: 1h}"),
            "p.yaml:6: unknown key 'objectives.recovery-pont'", "Did you mean 'recovery-point'?"),
        Mistake(
            "unknown adapter", smallPlan().replacingOccurrences(of: "adapter: files", with: "adapter: postgres"),
            "p.yaml:5: 'sources[0].adapter' knows no 'postgres'", "Did you mean 'postgresql'?"),
        Mistake(
            "two sources of one name", smallPlan() + "\n  - {name: config, adapter: files, paths: [/etc/b]}",
            "p.yaml:7: a source named 'config' is there already (line 5)", "Give one of them another name."),
        Mistake(
            "bad source name", smallPlan().replacingOccurrences(of: "name: config", with: "name: my config"),
            "p.yaml:5: 'sources[0].name' 'my config' is not a name"),
        Mistake("bad plan name", smallPlan("../up"), "p.yaml:1: 'plan' '../up' is not a name"),
        Mistake("reserved plan name", smallPlan("latest"), "p.yaml:1: 'plan' 'latest' is a word of the command line"),
        Mistake(
            "mistyped source key", smallPlan().replacingOccurrences(of: "adapter:", with: "adaptor:"),
            "p.yaml:5: 'sources[0].adaptor' is unknown", "Did you mean 'adapter'?"),
        Mistake(
            "transport without an object",
            smallPlan().replacingOccurrences(of: "adapter: files", with: "adapter: files, transport: docker"),
            "p.yaml:5: 'sources[0].transport' 'docker' does not say what to reach",
            "Write it so: {docker: CONTAINER}."),
        Mistake(
            "mistyped transport",
            smallPlan().replacingOccurrences(of: "adapter: files", with: "adapter: files, transport: locl"),
            "p.yaml:5: 'sources[0].transport' knows no 'locl'", "Did you mean 'local'?"),
        Mistake(
            "not a duration", smallPlan(more: "objectives: {recovery-point: 26}"),
            "p.yaml:6: 'objectives.recovery-point' must be a duration like 10m, 26h or 30d, not '26'"),
        Mistake(
            "quiesce without a group", smallPlan(more: "quiesce: {pause: [a], resume: [b]}"),
            "p.yaml:6: 'quiesce' is for sources that are frozen together, and this plan's are not",
            "Add 'consistency: together', or use 'hooks' to stop the application for the whole backup."),
        Mistake(
            "quiesce without an end", smallPlan(more: "consistency: together\nquiesce: {pause: [a]}"),
            "p.yaml:7: 'quiesce.resume' must be a list: the program and its arguments",
            "Write resume: [systemctl, stop, app]; for a shell, resume: [sh, -c, '…']."),
        Mistake(
            "quiesce for ever",
            smallPlan(more: "consistency: together\nquiesce: {pause: [a], resume: [b], time-limit: 2h}"),
            "p.yaml:7: 'quiesce.time-limit' must be from 1s to 1h"),
        Mistake(
            "mistyped consistency", smallPlan(more: "consistency: separat"),
            "p.yaml:6: 'consistency' must be one of separate, together, not 'separat'", "Did you mean 'separate'?"),
        Mistake(
            "short key id",
            smallPlan().replacingOccurrences(of: "0123456789ABCDEF0123456789ABCDEF01234567", with: "01234567"),
            "p.yaml:3: 'encryption.recipients' '01234567' is not a whole fingerprint (40 hexadecimal digits) or file:PATH"
        ),
        Mistake(
            "no recipients",
            smallPlan().replacingOccurrences(of: "[0123456789ABCDEF0123456789ABCDEF01234567]", with: "[]"),
            "p.yaml:3: 'encryption.recipients' must list at least one key"),
        Mistake(
            "store of another kind", smallPlan().replacingOccurrences(of: "file:///srv", with: "ftp://srv"),
            "p.yaml:2: 'repository.store' 'ftp://srv/backups' is no store this salvor knows",
            "Stores are file:///PATH and s3://BUCKET/PREFIX."),
        Mistake(
            "relative store", smallPlan().replacingOccurrences(of: "file:///srv", with: "file://srv"),
            "p.yaml:2: 'repository.store' 'file://srv/backups' does not name a directory by its absolute path"),
        Mistake(
            "s3 settings on a directory",
            smallPlan().replacingOccurrences(of: "backups\"}", with: "backups\", s3: {region: x}}"),
            "p.yaml:2: 'repository.s3' fits only a store that begins with s3://"),
        Mistake(
            "no sources",
            smallPlan().replacingOccurrences(
                of: "  - {name: config, adapter: files, paths: [/etc/app]}", with: ""),
            "p.yaml:4: 'sources' must list at least one source"),
        Mistake(
            "two channels in one entry", smallPlan(more: "notify: [{email: {}, slack: {}}]"),
            "p.yaml:6: 'notify[0]' must have exactly one of email, slack, pagerduty, webhook, ping"),
        Mistake(
            "unknown event", smallPlan(more: "notify: [{email: {}, on: [faild]}]"),
            "p.yaml:6: 'notify[0].on' knows no 'faild'", "Did you mean 'failed'?"),
        Mistake(
            "wrong switch", smallPlan(more: "local-base: maybe"),
            "p.yaml:6: 'local-base' must be true or false, not 'maybe'"),
    ]

    @Test("a mistake is told with its file, line and remedy", arguments: mistakes)
    func mistake(_ mistake: Mistake) throws {
        let found = try failure(mistake.text)
        #expect(found.code == .configuration)
        #expect(found.summary == mistake.summary)
        if let hint = mistake.hint { #expect(found.hint == hint) }
    }

    @Test(
        "a missing part is named",
        arguments: ["plan", "repository", "encryption", "sources"])
    func missing(_ part: String) throws {
        let lines = smallPlan().split(separator: "\n").filter {
            !$0.hasPrefix("\(part):") && !(part == "sources" && $0.hasPrefix("  -"))
        }
        #expect(try failure(lines.joined(separator: "\n")).summary.contains("'\(part)'"))
    }

    @Test(
        "durations are read and written back",
        arguments: [
            ("45s", 45), ("10m", 600), ("26h", 93_600), ("30d", 2_592_000), ("2w", 1_209_600), ("1d12h", 129_600),
        ])
    func durations(_ text: String, _ seconds: Int) {
        #expect(PlanDuration.seconds(text) == seconds)
        #expect(PlanDuration.seconds(PlanDuration.text(seconds)) == seconds)
    }

    @Test(
        "what is no duration is refused",
        arguments: [
            "", "0h", "h", "26", "-1h", "1h1d", "1h1h", "1.5h", "26 h", "99999999999999999999h", "٣h", "200000000w",
        ])
    func notDurations(_ text: String) {
        #expect(PlanDuration.seconds(text) == nil)
    }
}
