// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What libarchive reads from: counts, and remembers how many zeros the input ends with.
final class TarInput {
    /// Why the source failed; libarchive only learns that it did.
    private(set) var error: (any Error)?
    private(set) var total: UInt64 = 0
    private(set) var trailingZeros: UInt64 = 0
    private let source: any ByteSource
    private var isAtEnd = false

    init(_ source: any ByteSource) {
        self.source = source
    }

    /// Reads what libarchive left over.
    func drain() throws {
        if let error { throw error }
        while try next() != nil {}
    }

    private func next() throws -> UnsafeRawBufferPointer? {
        guard !isAtEnd else { return nil }
        while let chunk = try source.nextChunk() {
            if chunk.isEmpty { continue }
            total += UInt64(chunk.count)
            trailingZeros = Self.isZero(chunk) ? trailingZeros + UInt64(chunk.count) : Self.zerosAtEnd(of: chunk)
            return chunk
        }
        isAtEnd = true
        return nil
    }

    /// Whether every byte is like the one before it, and the first is zero: libc compares faster than a loop here would.
    private static func isZero(_ chunk: UnsafeRawBufferPointer) -> Bool {
        guard let start = chunk.baseAddress, chunk[0] == 0 else { return false }
        return memcmp(start, start + 1, chunk.count - 1) == 0
    }

    private static func zerosAtEnd(of chunk: UnsafeRawBufferPointer) -> UInt64 {
        var count = 0
        while count < chunk.count, chunk[chunk.count - 1 - count] == 0 { count += 1 }
        return UInt64(count)
    }

    /// libarchive's read callback; its context is a `TarInput` that the reader keeps alive.
    static func callback(
        _ archive: OpaquePointer?, _ context: UnsafeMutableRawPointer?,
        _ bytes: UnsafeMutablePointer<UnsafeRawPointer?>?
    ) -> Int {
        guard let context, let bytes else { return -1 }
        let input = Unmanaged<TarInput>.fromOpaque(context).takeUnretainedValue()
        do {
            guard let chunk = try input.next() else { return 0 }
            bytes.pointee = chunk.baseAddress
            return chunk.count
        } catch {
            input.error = error
            return -1
        }
    }
}
