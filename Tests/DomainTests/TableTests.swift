// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Testing

@Suite("Segment table")
struct SegmentTableTests {
    private static let digest = SHA256Digest.of([1, 2, 3])

    private static var table: SegmentTable {
        get throws {
            let base = try #require(BundleID("20261101T020003Z-nightly-aaaaaa"))
            return SegmentTable(streams: [
                SegmentTable.Stream(
                    source: "db", name: "db.app", kind: .raw, storage: .delta, rawBytes: 100, base: base,
                    segments: [
                        Segment(
                            object: "db/db.app/000000.zst.gpg", size: 9, sha256: digest, rawOffset: 0, rawLength: 64,
                            window: 5..<70),
                        Segment(
                            object: "db/db.app/000001.zst.gpg", size: 8, sha256: digest, rawOffset: 64, rawLength: 36,
                            window: nil),
                    ]),
                SegmentTable.Stream(
                    source: "config", name: "tree", kind: .tar, storage: .full, rawBytes: 0, base: nil, segments: []),
            ])
        }
    }

    @Test("reads what it wrote")
    func roundTrip() throws {
        let table = try Self.table
        #expect(try SegmentTable(decoding: table.encoded()) == table)
    }

    @Test("a table cut anywhere is refused")
    func truncation() throws {
        let bytes = try Self.table.encoded()
        for length in 0..<bytes.count {
            #expect(throws: Failure.self, "cut at \(length)") { try SegmentTable(decoding: Array(bytes[..<length])) }
        }
    }

    @Test("a newer format is named as such")
    func newer() throws {
        var bytes = try Self.table.encoded()
        bytes["salvor-segments\t".utf8.count] = UInt8(ascii: "2")
        #expect { try SegmentTable(decoding: bytes) } throws: { ($0 as? Failure)?.code == .formatTooNew }
    }

    @Test(
        "what does not fit together is refused",
        arguments: [
            ("\t64\t36\t-", "\t63\t36\t-"), ("stream\tdb\t", "stream\t../db\t"), ("\tdelta\t2\t", "\tfull\t2\t"),
            ("\tdelta\t2\t", "\tdelta\t3\t"), ("end\t2\t2", "end\t2\t3"), ("000001.zst.gpg", "../../etc"),
        ])
    func tampered(change: (String, String)) throws {
        let text = String(decoding: try Self.table.encoded(), as: UTF8.self)
        #expect(text.contains(change.0))
        let changed = text.split(separator: change.0, maxSplits: 1, omittingEmptySubsequences: false)
            .joined(separator: change.1)
        #expect(throws: Failure.self) { try SegmentTable(decoding: Array(changed.utf8)) }
    }
}

@Suite("Walk order and paths")
struct MemberPathTests {
    @Test("orders a directory before its content and its content before its neighbours")
    func order() {
        let names = ["a", "a/b", "a/b/c", "a/z", "a-b", "a.b", "ab"].map { Array($0.utf8) }
        for left in names.indices {
            for right in names.indices {
                #expect((WalkOrder.compare(names[left], names[right]) < 0) == (left < right))
            }
        }
    }

    @Test("escaped paths come back byte for byte", arguments: 0...255)
    func escaping(byte: Int) throws {
        for path in [[UInt8(byte)], [97, UInt8(byte), 98], [0xc3, 0xa4, UInt8(byte)]] where byte != 0 {
            let text = MemberTable.display(path)
            #expect(!text.utf8.contains { $0 < 0x20 })
            #expect(try MemberTable.path(escaped: Array(text.utf8)) == path)
        }
    }

    @Test("a member list gives back what was appended, negative times included")
    func members() throws {
        var table = MemberTable()
        let members = [
            TreeMember(
                path: Array("a\nb".utf8), kind: .file, mode: 0o4755, userID: 0, groupID: 4_294_967_295, size: .max,
                modified: -5,
                changed: .min, inode: 7, offset: 0, length: 512, sha256: SHA256Digest.of([])),
            TreeMember(
                path: [0xff, 0x5c], kind: .directory, mode: 0, userID: 1, groupID: 2, size: 0, modified: .max,
                changed: 0,
                inode: .max, offset: 512, length: 1, sha256: nil),
        ]
        members.forEach { table.append($0) }
        var read: [TreeMember] = []
        try table.forEach { read.append($0) }
        #expect(read == members)
        #expect(throws: Failure.self) { try MemberTable(text: table.text, count: 3).forEach { _ in } }
        for length in 1..<(table.text.count - 1) where table.text[length - 1] != UInt8(ascii: "\n") {
            let cut = MemberTable(text: Array(table.text[..<length]), count: 2)
            #expect(throws: Failure.self, "cut at \(length)") { try cut.forEach { _ in } }
        }
    }
}
