// SPDX-License-Identifier: Apache-2.0
import Domain

/// Which members of a stream and of its base are extracted.
struct TreeSelection: Sendable {
    /// What happens to one member.
    enum Choice: UInt8, Sendable {
        case skip
        case wanted
        /// A directory on the way to something wanted.
        case leading
        /// The file a wanted hard link is another name of; extracted, and removed again.
        case auxiliary
    }

    /// Reading a gap is cheaper than asking twice: a gap shorter than a segment never costs a segment of its own.
    private static let segment: UInt64 = 32 << 20

    /// By index in the member lists.
    private(set) var own: [Choice]
    private(set) var base: [Choice]
    /// Of what is wanted, and the directories leading there.
    private(set) var counts = TreeCounts()

    /// Device nodes left out.
    private(set) var skippedDevices = 0

    /// Chooses what matches `include` or lies in a directory that does; everything when it is empty.
    ///
    /// - Parameter includesDevices: whether device nodes are chosen at all.
    /// - Throws: `Failure(.nothingSelected)` when nothing matches.
    init(_ members: EffectiveMembers, include: PathPatterns, includesDevices: Bool) throws {
        var own = [Choice](repeating: .skip, count: members.own.count)
        var base = [Choice](repeating: .skip, count: members.base?.count ?? 0)
        var counts = TreeCounts()
        var above: [(origin: EffectiveMembers.Origin, index: Int, path: [UInt8])] = []
        var linkInodes: Set<UInt64> = []
        var skippedDevices = 0
        try members.forEach { origin, index, cursor in
            func choose(_ choice: Choice, _ origin: EffectiveMembers.Origin, _ index: Int) -> Bool {
                let isNew = (origin == .own ? own[index] : base[index]) == .skip
                if isNew { origin == .own ? (own[index] = choice) : (base[index] = choice) }
                return isNew
            }
            if !includesDevices, cursor.kind == .characterDevice || cursor.kind == .blockDevice {
                skippedDevices += 1
                return
            }
            if include.isEmpty {
                _ = choose(.wanted, origin, index)
                counts.add(cursor.kind, size: cursor.size)
                return
            }
            let path = cursor.path
            while let last = above.last, !path.isBelow(last.path) { above.removeLast() }
            let isWanted = path.withUnsafeBufferPointer {
                include.matchWithin($0, isDirectory: cursor.kind == .directory)
            }
            if isWanted {
                for directory in above where choose(.leading, directory.origin, directory.index) {
                    counts.add(.directory, size: 0)
                }
                _ = choose(.wanted, origin, index)
                counts.add(cursor.kind, size: cursor.size)
                if cursor.kind == .hardLink { linkInodes.insert(cursor.inode) }
            }
            if cursor.kind == .directory { above.append((origin, index, path)) }
        }
        if !linkInodes.isEmpty {
            own = try Self.addingFiles(of: linkInodes, members.own, own)
            if let table = members.base { base = try Self.addingFiles(of: linkInodes, table, base) }
        }
        guard include.isEmpty || own.contains(.wanted) || base.contains(.wanted) else {
            throw Failure(
                .nothingSelected, "no file of the bundle matches the patterns", hint: "Look with 'salvor find'.")
        }
        (self.own, self.base, self.counts, self.skippedDevices) = (own, base, counts, skippedDevices)
    }

    /// The choices with the files that hard links need.
    private static func addingFiles(
        of inodes: Set<UInt64>, _ table: MemberTable, _ choices: [Choice]
    ) throws -> [Choice] {
        var choices = choices
        var cursor = table.makeCursor()
        var index = 0
        while try cursor.advance() {
            if cursor.kind == .file, choices[index] == .skip, inodes.contains(cursor.inode) {
                choices[index] = .auxiliary
            }
            index += 1
        }
        return choices
    }

    /// Which bytes of the stream are needed; nil: all of them, with the end marker.
    static func ranges(_ table: MemberTable, _ choices: [Choice]) throws -> [Range<UInt64>]? {
        guard choices.contains(.skip) else { return nil }
        var ranges: [Range<UInt64>] = []
        var cursor = table.makeCursor()
        var index = 0
        while try cursor.advance() {
            defer { index += 1 }
            guard choices[index] != .skip else { continue }
            let (end, overflow) = cursor.offset.addingReportingOverflow(cursor.length)
            guard !overflow, cursor.offset >= (ranges.last?.upperBound ?? 0) else {
                throw Failure(.integrity, "a member list is damaged: offsets out of order")
            }
            if let last = ranges.last, cursor.offset - last.upperBound < segment {
                ranges[ranges.count - 1] = last.lowerBound..<end
            } else {
                ranges.append(cursor.offset..<end)
            }
        }
        return ranges
    }
}

extension Array where Element == UInt8 {
    /// Whether the path lies in the directory `other`.
    func isBelow(_ other: [UInt8]) -> Bool {
        count > other.count && self[other.count] == UInt8(ascii: "/") && starts(with: other)
    }
}
