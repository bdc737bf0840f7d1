// SPDX-License-Identifier: Apache-2.0
import Domain
import Notifications

let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
/// 2026-11-01T02:00:00Z
let firstNight = Timestamp(seconds: 1_793_498_400)

/// A channel that hears of everything but successes.
func channel(
    _ name: String = "ops", on events: [NotificationEvent] = NotificationEvent.standard, remind: Int = 86_400
) -> NotificationChannel {
    NotificationChannel(
        name: name, kind: .slack(url: SecretReference("env:URL", mark: mark)), events: events,
        reminderSeconds: remind, mark: mark)
}

func plan(_ channels: [NotificationChannel] = [], recoveryPoint: Int? = nil) -> Plan {
    Plan(
        name: "nightly", file: "plan.yaml", repository: RepositorySettings(store: "file:///srv/backups"),
        encryption: EncryptionSettings(recipients: []), sources: [],
        objectives: Objectives(recoveryPoint: recoveryPoint), channels: channels)
}

/// The run of a night, counted from the first one.
func night(
    _ number: Int, _ outcome: RunRecord.Outcome = .ok, kind: RunRecord.Kind = .backup, code: String = "source.failed",
    sizes: [String: UInt64] = ["db": 100 << 20], failing: [String] = [], seconds: Int64 = 60, isWhole: Bool = true
) -> RunRecord {
    let started = Timestamp(seconds: firstNight.seconds + Int64(number) * 86_400)
    var record = RunRecord(
        id: BundleID(plan: "nightly", started: started, suffix: "abcdef"), kind: kind, isWhole: isWhole, host: "db-1",
        tool: "salvor 0.1.0")
    record.finished = Timestamp(seconds: started.seconds + seconds)
    record.outcome = outcome
    if outcome == .ok || outcome == .partial { record.bundle = record.id }
    if outcome != .ok {
        record.failure = RecordedFailure(code: code, message: "pg_dump ended with 1", hint: "Look at the server's log.")
    }
    for (name, size) in sizes.sorted(by: { $0.key < $1.key }) {
        record.sources.append(
            RecordedSource(
                name: name,
                failure: failing.contains(name) ? RecordedFailure(code: code, message: "\(name) is down") : nil,
                seconds: 1, rawBytes: failing.contains(name) ? 0 : size, storedBytes: size / 10))
    }
    record.rawBytes = sizes.values.reduce(0, +)
    return record
}

func hours(_ count: Double, after moment: Timestamp) -> Timestamp {
    Timestamp(seconds: moment.seconds + Int64(count * 3600))
}
