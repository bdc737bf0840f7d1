// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Synchronization

/// Makes values side by side, at most `inFlight` at a time, and consumes them in order.
enum OrderedFetch {
    static func run<Value: Sendable>(
        _ indices: [Int], inFlight: Int, make: @escaping @Sendable (Int) async throws -> Value,
        consume: (Int, Value) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: (Int, Value).self) { group in
            var started = 0
            var waiting: [Int: Value] = [:]
            func start() {
                guard started < indices.count else { return }
                let index = indices[started]
                started += 1
                group.addTask { (index, try await make(index)) }
            }
            for _ in 0..<max(1, inFlight) { start() }
            for index in indices {
                while waiting[index] == nil {
                    guard let (made, value) = try await group.next() else { throw CancellationError() }
                    waiting[made] = value
                }
                guard let value = waiting.removeValue(forKey: index) else { throw CancellationError() }
                start()
                try await consume(index, value)
            }
        }
    }
}

/// A digest that a reading closure adds to.
final class ProvenHash: Sendable {
    private let hash = Mutex(RunningSHA256())

    func update(_ bytes: UnsafeRawBufferPointer) { hash.withLock { $0.update(bytes) } }

    var receipt: StreamReceipt { hash.withLock { StreamReceipt(length: $0.length, sha256: $0.finish()) } }
}
