// SPDX-License-Identifier: Apache-2.0
import CLinux
import FileSystem
import Glibc

/// Gives extracted members their owners, modes, attributes and times, and counts what it may not.
final class AttributeSetter {
    private let appliesOwners: Bool
    private(set) var ownersNotApplied = 0
    private(set) var notApplied: [RefusedMember] = []

    init(appliesOwners: Bool) {
        self.appliesOwners = appliesOwners
    }

    /// Owner, attributes, mode, ACLs, time: in this order, since chown clears set-user-id and capabilities, a mode may take
    /// away the right to set attributes, and an ACL has more to say than a mode.
    ///
    /// - Parameter inherits: the file was made in a directory with a default ACL, which nobody captured.
    func apply(
        _ header: TarHeader, to target: ExtendedAttributes.Target, _ descriptor: Int32, inherits: Bool
    ) throws {
        if inherits { try clearLists(target, header.path) }
        let ownerApplied = try applyOwner(header) { fchown(descriptor, header.userID, header.groupID) }
        // Without its owner a set-user-id file would run as somebody it was not meant to.
        let mode = ownerApplied ? header.mode : header.mode & ~0o6000
        for attribute in header.attributes { set(attribute.name, to: attribute.value, of: target, header.path) }
        guard fchmod(descriptor, mode) == 0 else { throw SystemError("set the mode of", path: header.path) }
        applyLists(header, to: target)
        var times = header.times
        guard futimens(descriptor, &times) == 0 else { throw SystemError("set the time of", path: header.path) }
    }

    /// The same for what is not opened: links, fifos, devices.
    func applyToEntry(_ header: TarHeader, _ name: [UInt8], _ parent: Int32, inherits: Bool) throws {
        try withCName(name) { name in
            let target = ExtendedAttributes.Target.entry(name, in: parent)
            if inherits, header.kind != .symbolicLink { try clearLists(target, header.path) }
            _ = try applyOwner(header) {
                fchownat(parent, name, header.userID, header.groupID, AT_SYMLINK_NOFOLLOW)
            }
            if header.kind != .symbolicLink {
                guard fchmodat(parent, name, header.mode & 0o1777, 0) == 0 else {
                    throw SystemError("set the mode of", path: header.path)
                }
            }
            for attribute in header.attributes { set(attribute.name, to: attribute.value, of: target, header.path) }
            applyLists(header, to: target)
            var times = header.times
            guard utimensat(parent, name, &times, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw SystemError("set the time of", path: header.path)
            }
        }
    }

    private func applyOwner(_ header: TarHeader, _ call: () -> Int32) throws -> Bool {
        guard appliesOwners else { return header.userID == geteuid() && header.groupID == getegid() }
        if call() == 0 { return true }
        guard errno == EPERM || errno == EINVAL else { throw SystemError("set the owner of", path: header.path) }
        ownersNotApplied += 1
        return false
    }

    /// Takes away what was inherited from the directory's default ACL.
    func clearLists(_ target: ExtendedAttributes.Target, _ path: [UInt8]) throws {
        for name in [AccessControlList.accessName, AccessControlList.defaultName] {
            try ExtendedAttributes.remove(name, of: target, path: path)
        }
    }

    private func applyLists(_ header: TarHeader, to target: ExtendedAttributes.Target) {
        if let list = header.accessACL { set(AccessControlList.accessName, to: list, of: target, header.path) }
        if let list = header.defaultACL { set(AccessControlList.defaultName, to: list, of: target, header.path) }
    }

    private func set(_ name: [UInt8], to value: [UInt8], of target: ExtendedAttributes.Target, _ path: [UInt8]) {
        do {
            try ExtendedAttributes.set(name, to: value, of: target, path: path)
        } catch let error as SystemError {
            miss(path, "\(PathText.display(name)): \(error.reason)")
        } catch {
            miss(path, String(describing: error))
        }
    }

    private func miss(_ path: [UInt8], _ reason: String) {
        if notApplied.count < 1000 { notApplied.append(RefusedMember(path: path, reason: reason)) }
    }
}

extension TarHeader {
    /// Access time left alone, modification time set.
    fileprivate var times: [timespec] {
        let (seconds, rest) = modified.quotientAndRemainder(dividingBy: 1_000_000_000)
        return [
            timespec(tv_sec: 0, tv_nsec: SALVOR_UTIME_OMIT),
            timespec(
                tv_sec: Int(rest < 0 ? seconds - 1 : seconds), tv_nsec: Int(rest < 0 ? rest + 1_000_000_000 : rest)),
        ]
    }

    /// The type bits of a device node.
    var nodeType: mode_t { kind == .blockDevice ? S_IFBLK : S_IFCHR }

    /// The number of a device.
    var device: dev_t { dev_t(salvor_makedev(deviceMajor, deviceMinor)) }
}
