// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import FileSystem
import Synchronization

/// Writes a tar of regular files without anything of this host in it, from one thread after the other.
///
/// `@unchecked` because `TarWriter` holds C pointers: only one thread at a time touches it, under `turn`.
public final class PlainTarWriter: ByteSink, @unchecked Sendable {
    private let writer: TarWriter
    private let modified: Int64
    private let turn = Mutex(())

    /// - Parameter modified: the time of all members, in seconds since 1970.
    /// - Throws: `ArchiveError`.
    public init(into sink: any ByteSink, modified: Int64) throws {
        writer = try TarWriter(into: sink)
        self.modified = modified
    }

    /// Begins a file of mode 0600 and `size` bytes, which are then written.
    ///
    /// - Throws: `ArchiveError`, or what the sink throws.
    public func begin(_ path: String, size: UInt64) throws {
        var header = TarHeader(path: Array(path.utf8), kind: .file)
        header.mode = 0o600
        header.size = size
        header.modified = modified * 1_000_000_000
        try turn.withLock { _ in try writer.begin(header) }
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        try turn.withLock { _ in try writer.write(bytes) }
    }

    /// Ends the file.
    ///
    /// - Throws: `ArchiveError`, also when bytes of its size are missing, or what the sink throws.
    public func end() throws {
        try turn.withLock { _ in try writer.end() }
    }

    /// Writes the end marker; nothing may follow.
    ///
    /// - Throws: `ArchiveError`, or what the sink throws.
    public func finish() throws {
        try turn.withLock { _ in _ = try writer.finish() }
    }
}

/// Reads a tar that may hold nothing but regular files without holes, from one thread after the other.
///
/// `@unchecked` because `TarReader` holds C pointers: only one thread at a time touches it, under `turn`.
public final class PlainTarReader: @unchecked Sendable {
    private let reader: TarReader
    private var size: UInt64 = 0
    private let turn = Mutex(())

    /// Begins to read.
    ///
    /// - Throws: `ArchiveError`, or what the source throws.
    public init(_ source: any ByteSource) throws {
        reader = try TarReader(source)
    }

    /// The next file; nil once the whole archive was there.
    ///
    /// - Throws: `ArchiveError`, also for a member of another kind; what the source throws.
    public func next() throws -> (path: String, size: UInt64)? {
        try turn.withLock { _ -> (path: String, size: UInt64)? in
            guard let header = try reader.next() else { return nil }
            guard header.kind == .file, let path = String(validating: header.path, as: UTF8.self) else {
                throw ArchiveError.damaged("the member '\(PathText.display(header.path))' is no plain file")
            }
            size = header.size
            return (path, header.size)
        }
    }

    /// Writes all data of the current file to `sink`.
    ///
    /// - Throws: `ArchiveError`, what the source and the sink throw.
    public func copy(to sink: any ByteSink) throws {
        try turn.withLock { _ in
            var position: UInt64 = 0
            try reader.readData { offset, bytes in
                guard offset == position, UInt64(bytes.count) <= size - position else {
                    throw ArchiveError.damaged("a file has holes, or more than its size")
                }
                position += UInt64(bytes.count)
                try sink.write(bytes)
            }
            guard position == size else { throw ArchiveError.damaged("a file is shorter than its size") }
        }
    }
}
