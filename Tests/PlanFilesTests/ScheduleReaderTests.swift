// SPDX-License-Identifier: Apache-2.0
import Domain
import PlanFiles
import Testing

@Suite("Schedules, hooks and patience of plans")
struct ScheduleReaderTests {
    private func plan(_ more: String) throws -> Plan {
        try PlanReader(adapters: PlanDirectory.knownAdapters).plan(
            try YAMLDocument.parse(smallPlan(more: more), file: "p.yaml"))
    }

    @Test("a schedule is read as written")
    func schedule() throws {
        let schedule = try #require(
            try plan(
                """
                schedule:
                      calendar: ["*-*-* 02:00", "Sat 14:00 Europe/Berlin"]
                      randomized-delay: 10m
                      validate: {calendar: "Sun 06:00", level: presence, which: all}
                      prune: {calendar: weekly}
                """
            ).schedule)
        #expect(schedule.backup.map(\.text) == ["*-*-* 02:00", "Sat 14:00 Europe/Berlin"])
        #expect(schedule.randomizedDelay == 600)
        #expect(schedule.validation?.level == .presence && schedule.validation?.which == .all)
        #expect(schedule.validation?.calendar.map(\.text) == ["Sun 06:00"])
        #expect(schedule.prune.map(\.text) == ["weekly"])
        let short = try #require(try plan("schedule: {calendar: daily, validate: {calendar: weekly}}").schedule)
        #expect(short.validation?.level == .checksum && short.validation?.which == .latest && short.prune.isEmpty)
        #expect(try plan("objectives: {recovery-point: 26h}").schedule == nil)
    }

    @Test(
        "a schedule that makes no sense is refused with its line and the next step",
        arguments: [
            ("schedule: {}", "'schedule.calendar' is required", "02:00"),
            ("schedule: {calendar: []}", "'schedule.calendar' is required", "02:00"),
            ("schedule: daily", "must be a mapping", nil),
            ("schedule: {calendar: dayly}", "'dayly' has 'dayly', which is no weekday", "'daily'"),
            ("schedule: {calendar: [daily, \"25:00\"]}", "'25:00' has no hour 25", "0 to 23"),
            ("schedule: {calendar: \"0 2 * * *\"}", "cron", "'*-*-* 02:00'"),
            ("schedule: {calendar: daily, randomised-delay: 1h}", "unknown key", "'randomized-delay'"),
            ("schedule: {calendar: daily, randomized-delay: 25h}", "at most a day", "due"),
            ("schedule: {calendar: daily, validate: daily}", "must be a mapping", nil),
            ("schedule: {calendar: daily, validate: {calendar: daily, level: drill}}", "must be one of", nil),
            ("schedule: {calendar: daily, validate: {calendar: daily, which: lastest}}", "must be one of", "'latest'"),
            ("schedule: {calendar: daily, prune: {calendar: nightly}}", "no weekday", nil),
            ("schedule: {calendar: daily, drill: {calendar: weekly, level: full}}", "unknown key", nil),
        ] as [(String, String, String?)])
    func refused(_ more: String, _ summary: String, _ hint: String?) throws {
        let failure = try #require(throws: Failure.self) { try plan(more) }
        #expect(failure.code == .configuration && failure.summary.contains(summary), "\(failure)")
        #expect(failure.summary.hasPrefix("p.yaml:6:"), "\(failure)")
        if let hint { #expect(failure.hint?.contains(hint) == true, "\(failure.hint ?? "-")") }
    }

    @Test("hooks are argument vectors with a policy and a time limit")
    func hooks() throws {
        let hooks = try plan(
            """
            hooks:
                  before: [{run: [systemctl, stop, app], time-limit: 90s}, {run: [sync], on-failure: continue}]
                  after: [{run: [systemctl, start, app], on-failure: stop}]
                  failure: [{run: [mail, -s, "it failed", ops]}]
            """
        ).hooks
        #expect(
            hooks.before == [
                Hook(run: ["systemctl", "stop", "app"], onFailure: .stop, timeLimit: 90),
                Hook(run: ["sync"], onFailure: .continue),
            ])
        #expect(hooks.after == [Hook(run: ["systemctl", "start", "app"], onFailure: .stop)])
        #expect(hooks.failure == [Hook(run: ["mail", "-s", "it failed", "ops"], onFailure: .continue)])
        #expect(Hook.standardTimeLimit == 300)
    }

    @Test(
        "hooks that make no sense are refused",
        arguments: [
            ("hooks: {before: [{run: systemctl stop app}]}", "'hooks.before[0].run' must be a list"),
            ("hooks: {before: [{run: []}]}", "must be a list"), ("hooks: {before: [{}]}", "must be a list"),
            ("hooks: {before: [{run: [\"\"]}]}", "must be a list"), ("hooks: {befor: []}", "unknown key 'hooks.befor'"),
            ("hooks: {after: [{run: [a], on-error: stop}]}", "unknown key 'hooks.after[0].on-error'"),
            ("hooks: {after: [{run: [a], on-failure: ignore}]}", "must be one of stop, continue"),
            ("hooks: {after: [{run: [a], time-limit: 0s}]}", "duration"),
            ("hooks: {after: [{run: [a], time-limit: 2d}]}", "at most a day"), ("hooks: [a]", "must be a mapping"),
        ])
    func refusedHooks(_ more: String, _ summary: String) throws {
        let failure = try #require(throws: Failure.self) { try plan(more) }
        #expect(failure.code == .configuration && failure.summary.contains(summary), "\(failure)")
    }

    @Test("a source's time limit, retries and whether it is an index are shared keys, hidden from its adapter")
    func sources() throws {
        let text = """
            plan: p
            repository: {store: "file:///srv/backups"}
            encryption: {recipients: [0123456789ABCDEF0123456789ABCDEF01234567]}
            sources:
              - {name: a, adapter: files, paths: [/etc], time-limit: 2h, retries: 3, retry-delay: 5s}
              - {name: b, adapter: sqlite, path: /x.db, index: true}
              - {name: c, adapter: meilisearch, connection: {url: "http://127.0.0.1:7700"}, index: true}
            """
        let reader = PlanReader(adapters: PlanDirectory.knownAdapters)
        let sources = try reader.plan(try YAMLDocument.parse(text, file: "p.yaml")).sources
        #expect(sources[0].timeLimit == 7200 && sources[0].retries == 3 && sources[0].retryDelay == 5)
        #expect(sources[1].timeLimit == nil && sources[1].retries == 0 && sources[1].isIndex && sources[2].isIndex)
        guard case .mapping(let pairs, _) = sources[0].settings else { throw Failure(.internalError, "no mapping") }
        #expect(pairs.map(\.key) == ["paths"])
        for (slip, words) in [
            ("retries: 3", "retries: 21"), ("retries: 3", "retries: -1"), ("time-limit: 2h", "time-limit: soon"),
            ("adapter: sqlite, path: /x.db", "adapter: files, paths: [/x]"), ("meilisearch", "arangodb"),
        ] {
            let wrong = text.replacing(slip, with: words)
            let failure = try #require(throws: Failure.self) {
                try reader.plan(try YAMLDocument.parse(wrong, file: "p.yaml"))
            }
            #expect(failure.code == .configuration && failure.summary.hasPrefix("p.yaml:"), "\(failure)")
        }
    }

    @Test("every reference to a secret is known, literals and repetitions apart")
    func secrets() throws {
        let text = """
            plan: p
            repository: {store: "s3://b/p", s3: {credentials: {access-key: "env:KEY", secret-key: "credential:s3"}}}
            encryption: {recipients: [0123456789ABCDEF0123456789ABCDEF01234567]}
            sources:
              - {name: a, adapter: redis, connection: {host: h, password: "file:/etc/salvor/redis"}}
              - {name: b, adapter: redis, connection: {host: h, password: "file:/etc/salvor/redis"}}
              - {name: c, adapter: redis, connection: {host: h, password: literal}}
            """
        let plan = try PlanReader(adapters: PlanDirectory.knownAdapters).plan(
            try YAMLDocument.parse(text, file: "p.yaml"))
        #expect(plan.secrets.map(\.description) == ["env:KEY", "credential:s3", "file:/etc/salvor/redis"])
    }

    @Test("what is printed of a schedule and hooks is read as the same")
    func printed() throws {
        let first = try plan(
            """
            schedule: {calendar: ["*:0/15", daily], validate: {calendar: "Sun 06:00"}, prune: {calendar: weekly}}
            hooks: {before: [{run: [sh, -c, "echo: #1 'a' \\"b\\""], time-limit: 90s}], failure: [{run: [x, ""]}]}
            """)
        let text = try ConfigPrinter.yaml(first)
        let again = try PlanReader(adapters: PlanDirectory.knownAdapters).plan(
            try YAMLDocument.parse(text, file: "printed.yaml"))
        #expect(again.schedule == first.schedule && again.hooks == first.hooks, "\(text)")
    }
}
