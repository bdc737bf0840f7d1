// SPDX-License-Identifier: Apache-2.0

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
            let nonZero = chunk.lastIndex { $0 != 0 }
            trailingZeros = nonZero.map { UInt64(chunk.count - 1 - $0) } ?? trailingZeros + UInt64(chunk.count)
            return chunk
        }
        isAtEnd = true
        return nil
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
