// SPDX-License-Identifier: Apache-2.0

/// All that a tar says of one member, besides its data.
public struct TarHeader: Sendable, Equatable {
    /// What kind of member it is.
    public enum Kind: Sendable, Equatable {
        case file, directory, symbolicLink, hardLink, fifo, characterDevice, blockDevice
    }

    /// One extended attribute.
    public struct Attribute: Sendable, Equatable {
        public var name: [UInt8]
        public var value: [UInt8]

        public init(name: [UInt8], value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    /// Raw bytes of the name; no trailing slash.
    public var path: [UInt8]
    public var kind: Kind
    /// Permission bits with set-user-id, set-group-id and sticky (07777).
    public var mode: UInt32 = 0
    public var userID: UInt32 = 0
    public var groupID: UInt32 = 0
    /// Name of the owner; empty when it has none. For people and other tools: extraction here goes by number.
    public var userName: [UInt8] = []
    public var groupName: [UInt8] = []
    /// Bytes of a regular file (its apparent size when sparse), else 0.
    public var size: UInt64 = 0
    /// Nanoseconds since 1970.
    public var modified: Int64 = 0
    /// Target of a symbolic link, or the member a hard link is another name of.
    public var linkTarget: [UInt8] = []
    public var deviceMajor: UInt32 = 0
    public var deviceMinor: UInt32 = 0
    /// Extended attributes but the two of POSIX ACLs, in order of name.
    public var attributes: [Attribute] = []
    /// POSIX ACLs as the kernel gives them in `system.posix_acl_access` and `…_default`; nil when there is none.
    public var accessACL: [UInt8]?
    public var defaultACL: [UInt8]?
    /// Where a sparse file has data, ascending; nil when it has no holes.
    public var dataRanges: [Range<UInt64>]?

    public init(path: [UInt8], kind: Kind) {
        self.path = path
        self.kind = kind
    }
}
