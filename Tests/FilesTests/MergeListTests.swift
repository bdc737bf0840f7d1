// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Files

@Suite("The list of files to take out again")
struct MergeListTests {
    @Test("any name comes back, and nobody else may read it")
    func roundTrip() throws {
        let folder = try TemporaryDirectory("merge")
        let path = folder("kept/members-0")
        let members = [
            MergeList.Member(path: Array("a b".utf8), isDirectory: true),
            MergeList.Member(path: Array("a b/".utf8) + [0xff, 0x0a, 0x09], isDirectory: false),
        ]
        try MergeList.write([], to: path)
        #expect(try MergeList.read(path) == [])
        try MergeList.write(members, to: path)
        #expect(try MergeList.read(path) == members)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
    }

    @Test("a list that is cut anywhere, or gone, is refused")
    func cut() throws {
        let folder = try TemporaryDirectory("merge")
        let path = folder("kept/members-0")
        try MergeList.write(
            ["one", "two", "three"].map { MergeList.Member(path: Array($0.utf8), isDirectory: false) }, to: path)
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        for length in 0..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            #expect { try MergeList.read(path) } throws: { ($0 as? Failure)?.code == .stateDamaged }
        }
        try FileManager.default.removeItem(atPath: path)
        #expect { try MergeList.read(path) } throws: { ($0 as? Failure)?.code == .stateDamaged }
    }
}
