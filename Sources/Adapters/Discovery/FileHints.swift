// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What lies in folders that somebody names: SQLite databases, and the folders themselves as files.
struct FileHints: Sendable {
    let folders: [String]

    private static let deepest = 6
    private static let most = 50_000
    /// The first 16 bytes of a database (https://sqlite.org/fileformat.html).
    private static let magic = Data("SQLite format 3\u{0}".utf8)

    func findings() -> [Finding] {
        folders.flatMap { folder -> [Finding] in
            let databases = databases(in: folder).map {
                Finding(adapter: "sqlite", place: .path($0), evidence: "its first bytes")
            }
            return databases + [Finding(adapter: "files", place: .path(folder), evidence: "named by --look-in")]
        }
    }

    private func databases(in folder: String) -> [String] {
        // Links are not followed; what cannot be read is not proposed.
        guard let walk = FileManager.default.enumerator(atPath: folder) else { return [] }
        var found: [String] = []
        var seen = 0
        for case let path as String in walk {
            seen += 1
            guard seen <= Self.most else { break }
            if walk.level > Self.deepest { walk.skipDescendants() }
            guard walk.fileAttributes?[.type] as? FileAttributeType == .typeRegular,
                let file = FileHandle(forReadingAtPath: "\(folder)/\(path)")
            else { continue }
            defer { try? file.close() }  // only read
            // A file that cannot be read is none of ours.
            if (try? file.read(upToCount: Self.magic.count)) == Self.magic { found.append("\(folder)/\(path)") }
        }
        return found.sorted()
    }
}
