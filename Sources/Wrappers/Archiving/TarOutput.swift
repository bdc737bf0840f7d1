// SPDX-License-Identifier: Apache-2.0
import ByteStreams

/// What libarchive writes to: gathers its many small writes into large ones and counts.
final class TarOutput {
    /// Why the sink failed; libarchive only learns that it did.
    private(set) var error: (any Error)?
    /// Bytes libarchive has handed over.
    private(set) var offset: UInt64 = 0
    private let sink: any ByteSink
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    private var used = 0

    init(_ sink: any ByteSink) {
        self.sink = sink
    }

    deinit {
        buffer.deallocate()
    }

    /// Takes all of `bytes` or remembers why not.
    func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
        do {
            try write(bytes)
            return true
        } catch {
            self.error = error
            return false
        }
    }

    /// Hands over what is gathered.
    func flush() throws {
        guard used > 0 else { return }
        try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<used]))
        used = 0
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        if used + bytes.count > buffer.count { try flush() }
        if bytes.count >= buffer.count / 2 {
            // Large data goes through without a copy; order demands the gathered part first.
            try flush()
            try sink.write(bytes)
        } else if let start = bytes.baseAddress {
            buffer.baseAddress?.advanced(by: used).copyMemory(from: start, byteCount: bytes.count)
            used += bytes.count
        }
        offset += UInt64(bytes.count)
    }

    /// libarchive's write callback; its context is a `TarOutput` that the writer keeps alive.
    static func callback(
        _ archive: OpaquePointer?, _ context: UnsafeMutableRawPointer?, _ bytes: UnsafeRawPointer?, _ count: Int
    ) -> Int {
        guard let context else { return -1 }
        let output = Unmanaged<TarOutput>.fromOpaque(context).takeUnretainedValue()
        return output.take(UnsafeRawBufferPointer(start: bytes, count: count)) ? count : -1
    }
}
