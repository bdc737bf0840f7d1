// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The names in one directory, in ascending order of their bytes. One object may be filled again and again: a walk of
/// many directories then allocates next to nothing.
public final class DirectoryListing {
    /// One name; its first eight bytes are compared as a number, which decides most comparisons.
    private struct Entry {
        var key: UInt64
        var offset: Int32
        var length: Int32
    }

    private var entries: [Entry] = []
    private var names: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var used = 0
    private let buffer: UnsafeMutableRawBufferPointer

    public init() {
        capacity = 1 << 14
        names = .allocate(capacity: capacity)
        buffer = .allocate(byteCount: 1 << 16, alignment: 16)
    }

    deinit {
        names.deallocate()
        buffer.deallocate()
    }

    /// Number of names.
    public var count: Int { entries.count }

    /// The name at `index` as a C string, valid until the next `read`.
    public func name(at index: Int) -> UnsafePointer<CChar> {
        UnsafeRawPointer(names + Int(entries[index].offset)).assumingMemoryBound(to: CChar.self)
    }

    /// The bytes of the name at `index`, valid until the next `read`.
    public func bytes(at index: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: names + Int(entries[index].offset), count: Int(entries[index].length))
    }

    /// Reads all names but `.` and `..` of an open directory that nothing was read from yet.
    ///
    /// - Throws: `SystemError`.
    public func read(_ directory: Int32, path: @autoclosure () -> [UInt8]) throws {
        entries.removeAll(keepingCapacity: true)
        used = 0
        while true {
            let count = salvor_getdents64(directory, buffer.baseAddress, buffer.count)
            guard count >= 0 else { throw SystemError("read directory", path: path()) }
            if count == 0 { break }
            take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        let names = UnsafePointer(names)
        entries.sort { left, right in
            if left.key != right.key { return left.key < right.key }
            let order = memcmp(names + Int(left.offset), names + Int(right.offset), Int(min(left.length, right.length)))
            return order != 0 ? order < 0 : left.length < right.length
        }
    }

    /// Takes the records of one call: inode (8 bytes), offset (8), record length (2), type (1), name, NUL
    /// (getdents64(2), `struct linux_dirent64`).
    private func take(_ records: UnsafeRawBufferPointer) {
        guard let start = records.baseAddress else { return }
        var position = 0
        while position + 19 < records.count {
            let record = start + position
            position += Int(record.loadUnaligned(fromByteOffset: 16, as: UInt16.self))
            let name = (record + 19).assumingMemoryBound(to: UInt8.self)
            let length = strlen((record + 19).assumingMemoryBound(to: CChar.self))
            if name[0] == UInt8(ascii: "."), length == 1 || (length == 2 && name[1] == UInt8(ascii: ".")) { continue }
            append(name, length)
        }
    }

    private func append(_ name: UnsafePointer<UInt8>, _ length: Int) {
        if used + length + 1 > capacity {
            let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity * 2 + length)
            larger.update(from: names, count: used)
            names.deallocate()
            names = larger
            capacity = capacity * 2 + length
        }
        var key: UInt64 = 0
        for index in 0..<min(8, length) { key |= UInt64(name[index]) << UInt64(56 - 8 * index) }
        (names + used).update(from: name, count: length)
        names[used + length] = 0
        entries.append(Entry(key: key, offset: Int32(used), length: Int32(length)))
        used += length + 1
    }
}
