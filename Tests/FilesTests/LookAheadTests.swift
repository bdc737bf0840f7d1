// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Files

@Suite("Walks that look ahead")
struct LookAheadTests {
    let folder: TemporaryDirectory

    init() throws {
        folder = try TemporaryDirectory()
        for outer in 0..<6 {
            for inner in 0..<10 {
                let path = "\(folder.path)/root/\(outer)/\(inner)"
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
                for file in 0..<2 { Self.touch("\(path)/\(file)") }
            }
        }
        let many = "\(folder.path)/root/3/many"
        try FileManager.default.createDirectory(atPath: many, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/root/3/many/2500d/deep/deeper", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/root/4/link", withDestinationPath: "../3")
    }

    private static func touch(_ path: String) { close(creat(path, 0o600)) }

    private func visited(_ exclude: [String], _ include: [String], ahead: Bool) throws -> [String] {
        let walker = TreeWalker(
            TreeWalker.Options(
                exclude: try PathPatterns(exclude), include: try PathPatterns(include), oneFileSystem: true,
                allowedUnreadable: try PathPatterns([])), looksAhead: ahead)
        var found: [String] = []
        try walker.walk([TreeRoot(path: "\(folder.path)/root")]) { file in
            var named = stat()
            let opened = file.opened.map { fcntl($0, F_GETFD) >= 0 }
            #expect(opened != false)
            #expect(fstatat(file.directory, file.name, &named, AT_SYMLINK_NOFOLLOW) == 0)
            #expect(UInt64(named.st_ino) == file.status.inode)
            found.append("\(String(decoding: file.path, as: UTF8.self)) \(file.status.inode) \(file.status.size)")
        }
        return found + walker.notices.all
    }

    @Test("visit the same files in the same order as those that do not")
    func sameOrder() throws {
        // More than are looked at ahead.
        for file in 0..<4200 { Self.touch("\(folder.path)/root/3/many/\(file)") }
        let choices: [([String], [String])] = [
            ([], []), (["2", "many/1*"], []), ([], ["many/2500d", "5/3"]), (["many"], ["3", "4/link"]),
        ]
        for (exclude, include) in choices {
            let plain = try visited(exclude, include, ahead: false)
            #expect(!plain.isEmpty)
            #expect(try visited(exclude, include, ahead: true) == plain)
        }
    }

    @Test("end wherever the visit gives up, with nothing left open", arguments: [0, 1, 40, 140])
    func stopped(_ after: Int) throws {
        struct Stop: Error {}
        for _ in 0..<5 {
            let walker = TreeWalker(
                TreeWalker.Options(
                    exclude: try PathPatterns([]), include: try PathPatterns([]), oneFileSystem: true,
                    allowedUnreadable: try PathPatterns([])), looksAhead: true)
            var count = 0
            #expect(throws: Stop.self) {
                try walker.walk([TreeRoot(path: "\(folder.path)/root")]) { _ in
                    if count == after { throw Stop() }
                    count += 1
                }
            }
        }
        // Other tests of this process open and close files at the same time: what leaked here would be hundreds.
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
        #expect(open.count < 300)
    }
}
