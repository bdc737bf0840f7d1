// SPDX-License-Identifier: Apache-2.0
public import FileSystem
import CLinux
import Glibc

extension TarHeader {
    /// Takes over what `status` tells: kind, mode, owner, time, size, device numbers. Sockets have no place in a tar and
    /// give nil.
    public init?(path: [UInt8], status: FileStatus) {
        switch status.kind {
        case .file: self.init(path: path, kind: .file)
        case .directory: self.init(path: path, kind: .directory)
        case .symbolicLink: self.init(path: path, kind: .symbolicLink)
        case .fifo: self.init(path: path, kind: .fifo)
        case .characterDevice: self.init(path: path, kind: .characterDevice)
        case .blockDevice: self.init(path: path, kind: .blockDevice)
        case .socket, .other: return nil
        }
        mode = status.mode
        (userID, groupID) = (status.userID, status.groupID)
        modified = status.modified
        if kind == .file { size = status.size }
        if kind == .characterDevice || kind == .blockDevice {
            deviceMajor = salvor_major(UInt64(status.value.st_rdev))
            deviceMinor = salvor_minor(UInt64(status.value.st_rdev))
        }
    }

    /// Reads the extended attributes and ACLs of the file; nearly always one call that finds none.
    ///
    /// - Throws: `SystemError`.
    public mutating func readAttributes(of target: ExtendedAttributes.Target) throws {
        let path = path
        for name in try ExtendedAttributes.names(target, path: path) {
            // Other "system." attributes are views the file system computes.
            let isList = name == AccessControlList.accessName || name == AccessControlList.defaultName
            if !isList, name.starts(with: "system.".utf8) { continue }
            guard let value = try ExtendedAttributes.value(name, of: target, path: path) else { continue }
            if name == AccessControlList.accessName {
                accessACL = value
            } else if name == AccessControlList.defaultName {
                defaultACL = value
            } else {
                attributes.append(Attribute(name: name, value: value))
            }
        }
    }

    /// Finds the holes of an open sparse file; leaves `dataRanges` nil when it turns out to have none, or when the file
    /// system cannot tell.
    ///
    /// - Throws: `SystemError`.
    public mutating func readHoles(of descriptor: Int32) throws {
        var ranges: [Range<UInt64>] = []
        var position = 0
        let end = Int(size)
        while position < end {
            let start = lseek(descriptor, position, SALVOR_SEEK_DATA)
            if start < 0 {
                if errno == ENXIO { break }
                if errno == EINVAL { return }
                throw SystemError("seek", path: path)
            }
            if start >= end { break }
            let hole = lseek(descriptor, start, SALVOR_SEEK_HOLE)
            guard hole >= 0 else { throw SystemError("seek", path: path) }
            ranges.append(UInt64(start)..<UInt64(min(hole, end)))
            position = hole
        }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw SystemError("seek", path: path) }
        if ranges.count == 1, ranges[0] == 0..<size { return }
        dataRanges = ranges
    }
}
