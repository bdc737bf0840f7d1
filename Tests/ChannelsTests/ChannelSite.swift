// SPDX-License-Identifier: Apache-2.0
import Channels
import Domain
import Foundation
import LocalState
import Notifications
import Operations
import Synchronization
import TestSupport

let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
let noon = Timestamp(seconds: 1_793_534_400)

func secret(_ name: String) -> SecretReference { SecretReference("env:\(name)", mark: mark) }

/// A clock that a test sets.
final class SetClock: WallClock {
    private let moment = Mutex(noon)
    func now() -> Timestamp { moment.withLock { $0 } }
    func go(_ seconds: Int64) { moment.withLock { $0.seconds += seconds } }
}

/// Secrets by their variable.
struct GivenSecrets: SecretResolver {
    var values: [String: String]

    func resolve(_ reference: SecretReference) async throws -> String {
        guard case .environment(let name) = reference.kind, let value = values[name] else {
            throw Failure(.secretUnavailable, "the secret \(reference) is not set")
        }
        return value
    }
}

/// A host with channels, for one test.
struct ChannelSite: Sendable {
    let folder: TemporaryDirectory
    let clock = SetClock()
    let memory: NotificationFiles
    let notes = Notes()
    var secrets: [String: String] = [:]

    final class Notes: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    init(state: String? = nil) throws {
        folder = try TemporaryDirectory("channels")
        memory = NotificationFiles(StateDirectory(state ?? folder("state")))
    }

    var sender: ChannelSender {
        ChannelSender(secrets: GivenSecrets(values: secrets), clock: clock, host: "db-1.example.com", version: "0.1.0")
    }

    var notifier: Notifier {
        let notes = notes
        let values = Array(secrets.values)
        return Notifier(
            memory: memory, sender: sender, clock: clock, host: "db-1",
            redact: { text in values.reduce(text) { $0.replacing($1, with: "<redacted>") } }, note: { notes.add($0) })
    }

    func plan(_ channels: [NotificationChannel]) -> Plan {
        Plan(
            name: "nightly", file: "plan.yaml", repository: RepositorySettings(store: "file:///srv/backups"),
            encryption: EncryptionSettings(recipients: []), sources: [], channels: channels)
    }

    /// The message of a failure, or of its end.
    func message(_ event: NotificationEvent = .failed, what: String = "pg_dump ended with 1") -> NotificationMessage {
        var book = TroubleBook()
        let channel = webhook("http://127.0.0.1:1/")
        let assessment = RunAssessment.of(run(.failed, what: what), plan: plan([]), history: [])
        var notices = book.take(assessment, channels: [channel], now: noon)
        if event == .recovered {
            notices = book.take(Assessment(cleared: [.run]), channels: [channel], now: noon)
        }
        return MessageComposer(
            plan: "nightly", host: "db-1", now: noon,
            lastGood: BundleID(plan: "nightly", started: Timestamp(seconds: noon.seconds - 90_000), suffix: "k3f9qz"),
            record: run(.failed, what: what)
        ).message(notices[0], id: book.messageID(event, at: noon))
    }

    func run(_ outcome: RunRecord.Outcome, what: String = "pg_dump ended with 1") -> RunRecord {
        let now = clock.now()
        var record = RunRecord(
            id: BundleID(plan: "nightly", started: Timestamp(seconds: now.seconds - 60), suffix: "abcdef"),
            kind: .backup, isWhole: true, host: "db-1", tool: "salvor 0.1.0")
        record.finished = now
        record.outcome = outcome
        if outcome == .ok { record.bundle = record.id }
        if outcome != .ok { record.failure = RecordedFailure(code: "source.failed", message: what) }
        return record
    }

    func channel(_ kind: NotificationChannel.Kind, caFile: String? = nil, timeLimit: Int = 10) -> NotificationChannel {
        NotificationChannel(name: kind.name, kind: kind, timeLimit: timeLimit, caFile: caFile, mark: mark)
    }

    func webhook(_ url: String, secret: SecretReference? = nil, timeLimit: Int = 10) -> NotificationChannel {
        channel(.webhook(WebhookChannel(url: .plain(url), secret: secret)), timeLimit: timeLimit)
    }
}

extension DeliveryOutcome {
    var isDelivered: Bool { if case .delivered = self { true } else { false } }
    var failure: Failure? { if case .failed(let failure, _) = self { failure } else { nil } }
    var hope: Hope? { if case .failed(_, let hope) = self { hope } else { nil } }
}

/// The members of a JSON object.
func object(_ bytes: some Sequence<UInt8>) throws -> [String: Any] {
    guard let object = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else {
        throw Failure(.internalError, "no JSON object")
    }
    return object
}
