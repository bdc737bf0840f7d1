// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Synchronization

/// A SHA-256 that is fed on one thread and read on another.
final class SharedDigest: Sendable, CustomStringConvertible {
    private let running = Mutex(RunningSHA256())

    func update(_ bytes: UnsafeRawBufferPointer) { running.withLock { $0.update(bytes) } }

    var description: String { running.withLock { $0.finish().description } }
}
