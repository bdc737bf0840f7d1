// SPDX-License-Identifier: Apache-2.0
import Domain

/// The members a tar stream stands for: those of its base that are neither deleted nor stored anew, and its own.
struct EffectiveMembers: Sendable {
    /// Where a member's data lies.
    enum Origin: Sendable, Equatable {
        case base
        case own
    }

    var own: MemberTable
    var base: MemberTable?
    var deletions: [[UInt8]]

    init(_ stream: any StoredStream) throws {
        own = stream.members
        base = stream.base?.members
        deletions = stream.deletions.sorted { WalkOrder.compare($0, $1) < 0 }
        if stream.storage == .incremental, base == nil {
            throw Failure(.baseMissing, "the base of stream '\(stream.name)' is missing")
        }
    }

    /// Calls `body` with every member in walk order: where it lies, its index there, and the member.
    ///
    /// - Throws: `Failure(.integrity)` for a damaged list or one out of order.
    func forEach(_ body: (Origin, Int, MemberCursor) throws -> Void) throws {
        var own = Lane(self.own)
        try own.advance()
        guard let base else {
            while own.isAtMember {
                try body(.own, own.index, own.cursor)
                try own.advance()
            }
            return
        }
        var old = Lane(base)
        try old.advance()
        var deleted = 0
        while own.isAtMember || old.isAtMember {
            let order =
                !own.isAtMember
                ? 1
                : !old.isAtMember
                    ? -1
                    : own.cursor.withPath { left in
                        old.cursor.withPath { WalkOrder.compare(left, $0) }
                    }
            if order <= 0 {
                try body(.own, own.index, own.cursor)
                try own.advance()
                if order == 0 { try old.advance() }
                continue
            }
            let path = old.cursor.path
            while deleted < deletions.count, WalkOrder.compare(deletions[deleted], path) < 0 { deleted += 1 }
            if deleted == deletions.count || deletions[deleted] != path { try body(.base, old.index, old.cursor) }
            try old.advance()
        }
    }

    /// One list being read.
    private struct Lane {
        var cursor: MemberCursor
        var index = -1
        var isAtMember = true
        private var last: [UInt8] = []

        init(_ table: MemberTable) {
            cursor = table.makeCursor()
        }

        mutating func advance() throws {
            if index >= 0 { last = cursor.path }
            isAtMember = try cursor.advance()
            index += 1
            guard isAtMember, index > 0 else { return }
            let isAscending = last.withUnsafeBufferPointer { last in
                cursor.withPath { WalkOrder.compare(last, $0) < 0 }
            }
            guard isAscending else { throw Failure(.integrity, "a member list is out of order") }
        }
    }
}
