// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import Glibc
import Synchronization

/// Writes the local copy of a base stream: mode 0600, under a temporary name until `finish`, removed again when
/// abandoned. About a fifth of a dump's size.
public final class BaseCopyWriter: ByteSink {
    private struct State: ~Copyable {
        var descriptor: Int32
        var pending: [UInt8] = []
        var entries: [BaseCopyFormat.Entry] = []
        var offset: UInt64
        var raw = RunningSHA256()
    }

    private let path: String
    private let temporaryPath: String
    private let compressor: FrameCompressor
    private let state: Mutex<State>

    /// Creates the file `path + ".part"`.
    ///
    /// - Throws: `CompressionError`.
    public init(path: String) throws {
        self.path = path
        temporaryPath = path + ".part"
        compressor = try FrameCompressor()
        // A left-over of a killed run is replaced; NOFOLLOW and EXCL keep a planted link from being written through.
        unlink(temporaryPath)
        let descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BaseCopyFormat.failure(temporaryPath, "create") }
        state = Mutex(State(descriptor: descriptor, offset: 0))
        try state.withLock { try append(BaseCopyFormat.magic, &$0) }
    }

    deinit {
        let descriptor = state.withLock { state in
            defer { state.descriptor = -1 }
            return state.descriptor
        }
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(temporaryPath)
    }

    /// Takes the next bytes of the stream; blocks while they are compressed and written.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        try state.withLock { state in
            guard state.descriptor >= 0 else {
                throw CompressionError.file(path: path, call: "write to", reason: "it is finished")
            }
            state.raw.update(bytes)
            var rest = bytes[...]
            while !rest.isEmpty {
                if state.pending.isEmpty, rest.count >= BaseCopyFormat.frameLength {
                    try frame(UnsafeRawBufferPointer(rebasing: rest.prefix(BaseCopyFormat.frameLength)), &state)
                    rest = rest.dropFirst(BaseCopyFormat.frameLength)
                    continue
                }
                let part = rest.prefix(BaseCopyFormat.frameLength - state.pending.count)
                state.pending.append(contentsOf: part)
                rest = rest.dropFirst(part.count)
                if state.pending.count == BaseCopyFormat.frameLength { try flush(&state) }
            }
        }
    }

    /// Completes the file, brings it to disk and gives it its name.
    ///
    /// - Returns: length and SHA-256 of what was written, which the reader states again.
    /// - Throws: `CompressionError`; the temporary file is gone then.
    public func finish() throws -> StreamReceipt {
        try state.withLock { state in
            guard state.descriptor >= 0 else {
                throw CompressionError.file(path: path, call: "finish", reason: "it is finished")
            }
            if !state.pending.isEmpty { try flush(&state) }
            let receipt = StreamReceipt(length: state.raw.length, sha256: state.raw.finish())
            var tail: [UInt8] = []
            for entry in state.entries {
                tail.append(littleEndian: entry.offset)
                tail.append(littleEndian: entry.length)
                tail += entry.sha256
            }
            tail.append(littleEndian: receipt.length)
            tail.append(littleEndian: UInt64(state.entries.count))
            tail.append(littleEndian: state.offset)
            tail += receipt.sha256.bytes
            tail += SHA256Digest.of(tail).bytes
            try append(tail, &state)
            guard fsync(state.descriptor) == 0 else { throw BaseCopyFormat.failure(temporaryPath, "sync") }
            guard rename(temporaryPath, path) == 0 else { throw BaseCopyFormat.failure(path, "rename to") }
            close(state.descriptor)
            state.descriptor = -1
            try syncFolder()
            return receipt
        }
    }

    private func flush(_ state: inout State) throws {
        let pending = state.pending
        try pending.withUnsafeBytes { try frame($0, &state) }
        state.pending.removeAll(keepingCapacity: true)
    }

    private func frame(_ raw: UnsafeRawBufferPointer, _ state: inout State) throws {
        let frame = try compressor.compress(raw, level: BaseCopyFormat.level)
        state.entries.append(
            BaseCopyFormat.Entry(
                offset: state.offset, length: UInt64(frame.count), sha256: SHA256Digest.of(frame).bytes))
        try append(frame, &state)
    }

    private func append(_ bytes: [UInt8], _ state: inout State) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(state.descriptor, $0.baseAddress?.advanced(by: done), $0.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw BaseCopyFormat.failure(temporaryPath, "write to") }
            done += count
        }
        state.offset += UInt64(bytes.count)
    }

    private func syncFolder() throws {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BaseCopyFormat.failure(folder, "open") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw BaseCopyFormat.failure(folder, "sync") }
    }
}
