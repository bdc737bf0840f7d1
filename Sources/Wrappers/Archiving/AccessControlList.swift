// SPDX-License-Identifier: Apache-2.0
import CArchive
import Glibc

/// POSIX access control lists between the kernel's form and libarchive's entries.
///
/// The kernel's form is that of the attributes `system.posix_acl_access` and `system.posix_acl_default`: version 2 in four
/// bytes, then for every entry tag (2 bytes), permissions (2) and id (4), all little endian (linux/posix_acl_xattr.h).
enum AccessControlList {
    static let accessName = Array("system.posix_acl_access".utf8)
    static let defaultName = Array("system.posix_acl_default".utf8)

    private static let noID: UInt32 = 0xffff_ffff

    /// Kernel tags and libarchive's, in the order the kernel demands.
    private static let tags: [(kernel: UInt16, library: Int32)] = [
        (0x01, ARCHIVE_ENTRY_ACL_USER_OBJ), (0x02, ARCHIVE_ENTRY_ACL_USER), (0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ),
        (0x08, ARCHIVE_ENTRY_ACL_GROUP), (0x10, ARCHIVE_ENTRY_ACL_MASK), (0x20, ARCHIVE_ENTRY_ACL_OTHER),
    ]

    /// Adds the entries of `list` to a libarchive entry as its `type` ACL.
    static func add(_ list: [UInt8], type: Int32, to entry: OpaquePointer, path: [UInt8]) throws {
        guard list.count >= 4, (list.count - 4) % 8 == 0, word(list, 0) == 2 else {
            throw ArchiveError.damaged("an access control list in an unknown form")
        }
        for position in stride(from: 4, to: list.count, by: 8) {
            let (tag, permissions) = (half(list, position), half(list, position + 2))
            let id = word(list, position + 4)
            guard let known = tags.first(where: { $0.kernel == tag }) else {
                throw ArchiveError.damaged("an access control list with an unknown tag \(tag)")
            }
            // libarchive wants read 4, write 2, execute 1, which are the kernel's values too.
            let code = archive_entry_acl_add_entry(
                entry, type, Int32(permissions & 7), known.library, id == noID ? -1 : Int32(bitPattern: id), nil)
            guard code == ARCHIVE_OK else { throw ArchiveError.damaged("an access control list libarchive refuses") }
        }
    }

    /// The `type` ACL of a libarchive entry in the kernel's form; nil when it has none.
    static func take(type: Int32, from entry: OpaquePointer) throws -> [UInt8]? {
        guard archive_entry_acl_types(entry) & type != 0, archive_entry_acl_reset(entry, type) > 0 else { return nil }
        var found: [(order: Int, id: UInt32, permissions: UInt16)] = []
        while true {
            var (kind, permissions, tag, id): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
            var name: UnsafePointer<CChar>?
            let code = archive_entry_acl_next(entry, type, &kind, &permissions, &tag, &id, &name)
            if code == ARCHIVE_EOF { break }
            guard code == ARCHIVE_OK, let order = tags.firstIndex(where: { $0.library == tag }) else {
                throw ArchiveError.damaged("an access control list in an unknown form")
            }
            var number = noID
            if tag == ARCHIVE_ENTRY_ACL_USER || tag == ARCHIVE_ENTRY_ACL_GROUP {
                if id >= 0 {
                    number = UInt32(id)
                } else if let name, let known = Accounts.id(named: name, isGroup: tag == ARCHIVE_ENTRY_ACL_GROUP) {
                    number = known
                } else {
                    throw ArchiveError.damaged("an access control list names an unknown account")
                }
            }
            found.append((order, number, UInt16(permissions & 7)))
        }
        guard !found.isEmpty else { return nil }
        found.sort { ($0.order, $0.id) < ($1.order, $1.id) }
        var list: [UInt8] = [2, 0, 0, 0]
        for entry in found {
            append(tags[entry.order].kernel, to: &list)
            append(entry.permissions, to: &list)
            append(UInt16(truncatingIfNeeded: entry.id), to: &list)
            append(UInt16(truncatingIfNeeded: entry.id >> 16), to: &list)
        }
        return list
    }

    private static func half(_ list: [UInt8], _ at: Int) -> UInt16 { UInt16(list[at]) | UInt16(list[at + 1]) << 8 }
    private static func word(_ list: [UInt8], _ at: Int) -> UInt32 {
        UInt32(half(list, at)) | UInt32(half(list, at + 2)) << 16
    }
    private static func append(_ value: UInt16, to list: inout [UInt8]) {
        list += [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
    }
}

/// The host's users and groups.
enum Accounts {
    /// The name of a user or group; empty when the number has none.
    static func name(of id: UInt32, isGroup: Bool) -> [UInt8] {
        withBuffer { buffer, size in
            if isGroup {
                var (record, found) = (group(), nil as UnsafeMutablePointer<group>?)
                guard getgrgid_r(id, &record, buffer, size, &found) == 0, found != nil else {
                    return []
                }
                return bytes(record.gr_name)
            }
            var (record, found) = (passwd(), nil as UnsafeMutablePointer<passwd>?)
            guard getpwuid_r(id, &record, buffer, size, &found) == 0, found != nil else {
                return []
            }
            return bytes(record.pw_name)
        }
    }

    /// The number of a user or group; nil when there is none of that name.
    static func id(named name: UnsafePointer<CChar>, isGroup: Bool) -> UInt32? {
        withBuffer { buffer, size in
            if isGroup {
                var (record, found) = (group(), nil as UnsafeMutablePointer<group>?)
                guard getgrnam_r(name, &record, buffer, size, &found) == 0, found != nil else {
                    return nil
                }
                return record.gr_gid
            }
            var (record, found) = (passwd(), nil as UnsafeMutablePointer<passwd>?)
            guard getpwnam_r(name, &record, buffer, size, &found) == 0, found != nil else {
                return nil
            }
            return record.pw_uid
        }
    }

    /// A group with thousands of members does not fit into less.
    private static func withBuffer<Result>(_ body: (UnsafeMutablePointer<CChar>, Int) -> Result) -> Result {
        let size = 1 << 18
        let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: size)
        defer { buffer.deallocate() }
        return body(buffer, size)
    }

    private static func bytes(_ name: UnsafeMutablePointer<CChar>?) -> [UInt8] {
        guard let name else { return [] }
        return UnsafeBufferPointer(start: name, count: strlen(name)).map(UInt8.init(bitPattern:))
    }
}
