// SPDX-License-Identifier: Apache-2.0
public import Domain

/// The whole tree a tar stream stands for: its base's members less those deleted or stored anew, and its own, in walk order.
public enum EffectiveTree {
    /// Calls `body` with every member; `isStored` tells whether it lies in the stream itself or in its base.
    public static func forEach(
        _ stream: any StoredStream, _ body: (TreeMember, _ isStored: Bool) throws -> Void
    ) throws {
        guard let base = stream.base else { return try stream.members.forEach { try body($0, true) } }
        let deleted = Set(stream.deletions)
        var own: [TreeMember] = []
        try stream.members.forEach { own.append($0) }
        own.sort { WalkOrder.compare($0.path, $1.path) < 0 }
        var next = own.startIndex
        try base.members.forEach { member in
            while next < own.endIndex, WalkOrder.compare(own[next].path, member.path) < 0 {
                try body(own[next], true)
                next += 1
            }
            if next < own.endIndex, own[next].path == member.path {
                try body(own[next], true)
                next += 1
            } else if !deleted.contains(member.path) {
                try body(member, false)
            }
        }
        for member in own[next...] { try body(member, true) }
    }
}
