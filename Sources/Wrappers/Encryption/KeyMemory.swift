// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What was found of keys a moment ago. Who asks while another does so waits for the same answer. Failures, and that
/// there is no key, are not remembered.
final class KeyMemory: Sendable {
    let recipients: Answers<Recipient>
    let secrets: Answers<[PublicKey]>

    init(_ time: Duration) {
        recipients = Answers(time) { _ in false }
        secrets = Answers(time) { $0.isEmpty }
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
        private let isNothing: @Sendable (Value) -> Bool
        private let known = Mutex<[String: Answer]>([:])

        init(_ time: Duration, isNothing: @escaping @Sendable (Value) -> Bool) {
            self.time = time
            self.isNothing = isNothing
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
                let value = try await answer.task.value
                if isNothing(value) { forget(name, answer) }
                return value
            } catch {
                forget(name, answer)
                throw error
            }
        }

        private func forget(_ name: String, _ answer: Answer) {
            known.withLock { if $0[name]?.task == answer.task { $0[name] = nil } }
        }
    }
}
