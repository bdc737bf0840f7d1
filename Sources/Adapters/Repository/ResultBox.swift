// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Domain
import Synchronization

/// A value set once by a child task and read by its parent after the child has ended.
final class ResultBox<Value: Sendable>: Sendable {
    private let content = Mutex<Value?>(nil)

    var value: Value? { content.withLock { $0 } }

    func set(_ value: Value) { content.withLock { $0 = value } }
}

typealias EndBox = ResultBox<(StreamReceipt, BaseFingerprints?)>
typealias TreeEndBox = ResultBox<TreeEnd>
