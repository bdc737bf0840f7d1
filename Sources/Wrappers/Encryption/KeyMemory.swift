// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What was found of keys a moment ago. Who asks while another does so waits for the same answer. Failures are not
/// remembered.
final class KeyMemory: Sendable {
    let recipients: Answers<Recipient>
    let secrets: Answers<[PublicKey]>

    init(_ time: Duration) {
        recipients = Answers(time)
        secrets = Answers(time)
    }

    func forget() {
        recipients.forget()
        secrets.forget()
    }

    final class Answers<Value: Sendable>: Sendable {
        private struct Answer {
            var task: Task<Value, any Error>
            var asked: ContinuousClock.Instant
        }

        private let time: Duration
        private let known = Mutex<[String: Answer]>([:])

        init(_ time: Duration) {
            self.time = time
        }

        func forget() { known.withLock { $0.removeAll() } }

        /// - Throws: what `find` throws.
        func value(_ name: String, _ find: @escaping @Sendable () async throws -> Value) async throws -> Value {
            let now = ContinuousClock.now
            let answer = known.withLock { known in
                if let answer = known[name], answer.asked.duration(to: now) < time { return answer }
                // A task of its own: that one of those who wait is cancelled is nothing to the others.
                let answer = Answer(task: Task { try await find() }, asked: now)
                known[name] = answer
                return answer
            }
            do {
                return try await answer.task.value
            } catch {
                known.withLock { if $0[name]?.task == answer.task { $0[name] = nil } }
                throw error
            }
        }
    }
}
