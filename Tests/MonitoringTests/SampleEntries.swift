// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Operations

/// States of plans, made by hand.
enum SampleEntries {
    static let now = Timestamp(seconds: 1_795_230_000)
    static let good = BundleID(plan: "nightly", started: now.adding(-18_000), suffix: "k3f9qz")

    static func plan(_ name: String = "nightly", sources: [String] = ["app-db", "config"]) -> Plan {
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        return Plan(
            name: name, file: "plan.yaml", repository: RepositorySettings(store: "file:///srv/backups"),
            encryption: EncryptionSettings(recipients: []),
            sources: sources.map {
                SourceSettings(
                    name: $0, adapter: "files", transport: .local, settings: .mapping([], mark), mark: mark)
            }, objectives: Objectives(recoveryPoint: 93_600, drillEvery: 2_592_000))
    }

    /// All is well.
    static func healthy(_ name: String = "nightly") -> Status.Entry {
        var entry = Status.Entry(plan(name), at: now)
        entry.isReachable = true
        entry.lastGood = good
        entry.last = good
        entry.ageSeconds = 18_000
        entry.bundles = 12
        entry.storedBytes = 1 << 30
        entry.size = Status.Size(rawBytes: 1 << 20, storedBytes: 4096, seconds: 12.5, usualRawBytes: 1 << 19)
        entry.freeBytes = 1 << 40
        entry.lastProofs = [Status.LastProof(level: .presence, at: now.adding(-60), bundle: good)]
        for index in entry.sources.indices {
            entry.sources[index].lastGood = good
            entry.sources[index].ageSeconds = 18_000
            entry.sources[index].size = entry.size
        }
        var run = RunRecord(id: good, kind: .backup, isWhole: true, host: "db-1", tool: "salvor")
        run.finished = good.started.adding(13)
        entry.lastRuns = [Status.LastRun(run)]
        entry.lastDrill = now.adding(-86_400)
        entry.nextRun = now.adding(3600)
        entry.keys = [
            KeyExpiry(role: .recipient, fingerprint: "AB12", expires: now.adding(86_400 * 300)),
            KeyExpiry(role: .signer, fingerprint: "CD34", expires: nil),
        ]
        return entry
    }

    /// The path of a file of the project.
    static func projectFile(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path + "/\(name)"
    }
}

extension Timestamp {
    func adding(_ seconds: Int64) -> Timestamp { Timestamp(seconds: self.seconds + seconds) }
}
