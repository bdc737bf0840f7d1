// SPDX-License-Identifier: Apache-2.0
import Domain

/// The bytes of an RDB as the scanner takes them: handed on chunk by chunk before they are looked at, and checksummed.
///
/// Used on one thread; blocks in `next`.
final class RDBInput {
    private let next: () throws -> [UInt8]?
    private let forward: (UnsafeRawBufferPointer) throws -> Void
    private var chunk: [UInt8] = []
    private var position = 0
    private var summed = 0
    private var checksum = RDBChecksum()
    /// Bytes handed on so far.
    private(set) var length: UInt64 = 0

    /// `next` gives chunks in order and nil at the proven end; `forward` takes every one of them.
    init(
        next: @escaping () throws -> [UInt8]?, forward: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) {
        self.next = next
        self.forward = forward
    }

    /// The checksum of everything taken so far.
    func currentChecksum() -> UInt64 {
        sumUp()
        return checksum.value
    }

    func byte() throws -> UInt8 {
        if position == chunk.count { try refill() }
        defer { position += 1 }
        return chunk[position]
    }

    func bytes(_ count: Int) throws -> [UInt8] {
        var result: [UInt8] = []
        while result.count < count {
            if position == chunk.count { try refill() }
            let part = min(count - result.count, chunk.count - position)
            result += chunk[position..<(position + part)]
            position += part
        }
        return result
    }

    func skip(_ count: UInt64) throws {
        var left = count
        while left > 0 {
            if position == chunk.count { try refill() }
            let part = min(left, UInt64(chunk.count - position))
            position += Int(part)
            left -= part
        }
    }

    /// Whether nothing follows.
    func isAtEnd() throws -> Bool {
        if position < chunk.count { return false }
        return try !load()
    }

    /// Takes everything that is left, and gives the last nine bytes of all with the checksum of what comes before the
    /// last eight.
    func drain() throws -> (tail: [UInt8], checksum: UInt64) {
        var tail: [UInt8] = []
        repeat {
            let rest = chunk[position...]
            sumUp()
            tail += rest
            position = chunk.count
            let ready = max(0, tail.count - 9)
            tail[..<ready].withUnsafeBytes { checksum.update($0) }
            tail.removeFirst(ready)
            summed = chunk.count
        } while try load()
        guard tail.count == 9 else { return (tail, 0) }
        tail[..<1].withUnsafeBytes { checksum.update($0) }
        return (tail, checksum.value)
    }

    private func refill() throws {
        guard try load() else {
            throw Failure(.sourceFailed, "the RDB ended after \(length) bytes, before its end mark")
        }
    }

    private func load() throws -> Bool {
        sumUp()
        repeat {
            guard let bytes = try next() else { return false }
            chunk = bytes
        } while chunk.isEmpty
        position = 0
        summed = 0
        length += UInt64(chunk.count)
        try chunk.withUnsafeBytes { try forward($0) }
        return true
    }

    private func sumUp() {
        guard position > summed else { return }
        chunk.withUnsafeBytes { checksum.update(UnsafeRawBufferPointer(rebasing: $0[summed..<position])) }
        summed = position
    }
}
