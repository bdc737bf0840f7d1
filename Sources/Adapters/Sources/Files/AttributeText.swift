// SPDX-License-Identifier: Apache-2.0
import Archiving
import FileSystem

/// Names under which attributes are compared. The first two are the kernel's; the others are no attributes to it, and no
/// attribute of its can be called so.
enum AttributeName {
    static let accessList = Array("system.posix_acl_access".utf8)
    static let defaultList = Array("system.posix_acl_default".utf8)
    static let linkTarget = Array("link target".utf8)
    static let device = Array("device number".utf8)

    /// Whether it is the host's to decide: labels of security modules belong to the host's policy, not to the file.
    static func isOfHost(_ name: [UInt8]) -> Bool {
        name.starts(with: "security.".utf8) && !name.elementsEqual("security.capability".utf8)
    }

    /// Whether only root can set it.
    static func isPrivileged(_ name: [UInt8]) -> Bool {
        name.starts(with: "trusted.".utf8) || name.starts(with: "security.".utf8)
    }

    /// Whether a copy that has it without being told to is another file: other names may be the file system's own.
    static func isOnPurpose(_ name: [UInt8]) -> Bool {
        if name.starts(with: "trusted.overlay.".utf8) { return false }
        return name.starts(with: "user.".utf8) || name.starts(with: "trusted.".utf8) || name == accessList
            || name == defaultList || name.elementsEqual("security.capability".utf8)
    }
}

extension TarHeader {
    /// All that a member has and a member list does not tell, by name.
    var unlisted: [(name: [UInt8], value: [UInt8])] {
        switch kind {
        // What it is another name of has them.
        case .hardLink: return []
        case .symbolicLink, .characterDevice, .blockDevice, .file, .directory, .fifo: break
        }
        var all = attributes.filter { !AttributeName.isOfHost($0.name) }.map { (name: $0.name, value: $0.value) }
        if let list = accessACL { all.append((AttributeName.accessList, list)) }
        if let list = defaultACL { all.append((AttributeName.defaultList, list)) }
        if kind == .symbolicLink { all.append((AttributeName.linkTarget, linkTarget)) }
        if kind == .characterDevice || kind == .blockDevice {
            all.append((AttributeName.device, deviceNumber))
        }
        return all
    }

    /// The number of a device as a value to compare.
    var deviceNumber: [UInt8] { Array("\(deviceMajor):\(deviceMinor)".utf8) }
}

/// Attributes for people.
enum AttributeText {
    /// What an attribute is called.
    static func name(_ name: [UInt8]) -> String {
        switch name {
        case AttributeName.accessList: "access ACL"
        case AttributeName.defaultList: "default ACL"
        case AttributeName.linkTarget, AttributeName.device: String(decoding: name, as: UTF8.self)
        default: "attribute \(PathText.display(name))"
        }
    }

    /// A value that is no secret and can be read; nil for any other.
    static func of(_ value: [UInt8], named name: [UInt8]) -> String? {
        switch name {
        case AttributeName.accessList, AttributeName.defaultList: accessList(value)
        case AttributeName.linkTarget: "'\(PathText.display(value.prefix(200)))'"
        case AttributeName.device: String(decoding: value, as: UTF8.self)
        default: nil
        }
    }

    /// As getfacl(1) writes it, with numbers: `user::rw-,user:1000:r--,mask::r--`.
    private static func accessList(_ value: [UInt8]) -> String? {
        guard value.count >= 4, (value.count - 4).isMultiple(of: 8) else { return nil }
        let tags: [UInt8: String] = [1: "user", 2: "user", 4: "group", 8: "group", 16: "mask", 32: "other"]
        return stride(from: 4, to: value.count, by: 8).map { at in
            let entry = value[at..<(at + 8)].map(UInt32.init)
            let id = entry[4] | entry[5] << 8 | entry[6] << 16 | entry[7] << 24
            let rights = [(UInt32(4), "r"), (2, "w"), (1, "x")].map { entry[2] & $0.0 == 0 ? "-" : $0.1 }.joined()
            return "\(tags[value[at]] ?? "?"):\(id == .max ? "" : String(id)):\(rights)"
        }.joined(separator: ",")
    }
}
