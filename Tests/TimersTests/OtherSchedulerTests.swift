// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import TestSupport
import Testing
import Timers

@Suite("Cron and Kubernetes")
struct OtherSchedulerTests {
    @Test("a file for cron has a line for every time, and says what cron cannot")
    func cron() throws {
        let plan = try samplePlan(program: "/opt/sal%vor", calendar: ["Mon..Fri 02:00", "Sat 14:30"], user: "backup")
        let text = try CronLines.file(plan).text
        #expect(try CronLines.file(plan).name == "salvor-nightly")
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            lines.suffix(4) == [
                "0 2 * * 1,2,3,4,5 backup '/opt/sal\\%vor' backup nightly --wait 12h",
                "30 14 * * 6 backup '/opt/sal\\%vor' backup nightly --wait 12h",
                "0 6 * * 7 backup '/opt/sal\\%vor' validate-backup latest:nightly --plan nightly --level presence --all",
                "0 0 * * 1 backup '/opt/sal\\%vor' prune nightly --apply",
            ], "\(text)")
        #expect(lines.contains("SALVOR_CONFIG=\"/etc/salvor\""))
        #expect(text.contains("missed") && text.contains("600 s") && text.contains("AWS_ACCESS_KEY_ID"))
    }

    @Test("times that cron cannot say are refused by name, never bent")
    func refused() throws {
        for (calendar, reason) in [
            ("02:00 Europe/Berlin", "time zone"), ("*-*~1 02:00", "end of the month"), ("02:00:15", "seconds"),
            ("Mon *-*-1..7 02:00", "weekday"), ("2027-01-01 02:00", "years"),
        ] {
            let failure = try #require(throws: Failure.self) {
                try CronLines.file(try samplePlan(calendar: [calendar]))
            }
            #expect(failure.code == .configuration && failure.summary.contains(reason), "\(failure)")
            #expect(failure.summary.contains(calendar) && failure.hint != nil)
        }
        #expect(throws: Failure.self) { try CronLines.file(try samplePlan("night.ly")) }
    }

    @Test("the CronJobs are YAML with the schedule, the time zone and the arguments where they belong")
    func kubernetes() throws {
        let plan = try samplePlan("Night.ly_2", calendar: ["02:00 Europe/Berlin", "Sat 14:00"])
        let text = try KubernetesCronJobs.file(plan, image: "registry.example.com/salvor:1", namespace: "backup").text
        let documents = text.components(separatedBy: "---\n")
        #expect(documents.count == 4)
        var names: [String] = []
        for document in documents {
            let root = try reader(try YAMLDocument.parse(document, file: "cronjob.yaml"))
            #expect(try root.string("apiVersion") == "batch/v1")
            let metadata = try reader(try #require(root.node("metadata")))
            names.append(try metadata.requiredString("name"))
            #expect(try metadata.string("namespace") == "backup")
            let spec = try reader(try #require(root.node("spec")))
            #expect(try spec.string("concurrencyPolicy") == "Forbid")
            #expect(try spec.string("timeZone") == (names.count == 1 ? "Europe/Berlin" : nil))
            let pod = try descend(spec, ["jobTemplate", "spec", "template", "spec"])
            #expect(try pod.string("restartPolicy") == "Never")
            let container = try reader(try #require(try pod.sequence("containers")?.first))
            #expect(try container.string("image") == "registry.example.com/salvor:1")
            #expect(try container.strings("args")?.last == (["12h", "12h", "--all", "--apply"][names.count - 1]))
            #expect(try container.sequence("envFrom")?.count == 1)
            #expect(
                try spec.string("schedule") == ["0 2 * * *", "0 14 * * 6", "0 6 * * 0", "0 0 * * 1"][names.count - 1])
        }
        #expect(
            names == [
                "salvor-backup-night-ly-2-1", "salvor-backup-night-ly-2-2", "salvor-validate-night-ly-2",
                "salvor-prune-night-ly-2",
            ])
        let long = try samplePlan(String(repeating: "n", count: 60))
        #expect(throws: Failure.self) { try KubernetesCronJobs.file(long, image: "i", namespace: nil) }
    }

    @Test("the service account is there for those who need it, and the plan where it is looked for")
    func account() throws {
        var plan = try samplePlan()
        for uses in [false, true] {
            plan.usesServiceAccount = uses
            let text = try KubernetesCronJobs.file(plan, image: "i", namespace: nil).text
            for document in text.components(separatedBy: "---\n") {
                let spec = try reader(
                    try #require(try reader(try YAMLDocument.parse(document, file: "cronjob.yaml")).node("spec")))
                let pod = try descend(spec, ["jobTemplate", "spec", "template", "spec"])
                #expect(try pod.bool("automountServiceAccountToken") == uses)
                #expect(try pod.string("serviceAccountName") == (uses ? "salvor" : nil))
                #expect(document.contains("items: [{key: \"nightly.yaml\", path: \"plans/nightly.yaml\"}]"))
            }
        }
    }

    /// Any keys at all.
    private func reader(_ node: ConfigNode) throws -> ConfigReader {
        guard case .mapping(let pairs, _) = node else { throw Failure(.internalError, "no mapping at \(node.mark)") }
        return try ConfigReader(node, path: "", allowed: pairs.map(\.key))
    }

    private func descend(_ reader: ConfigReader, _ keys: [String]) throws -> ConfigReader {
        try keys.reduce(reader) { try self.reader(try #require($0.node($1))) }
    }
}
