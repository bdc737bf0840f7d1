// SPDX-License-Identifier: Apache-2.0
import Domain

/// A walk through a directory in the order of key bytes, a page at a time. It holds one list of names for each level, so
/// memory follows the largest folder, not the tree.
struct DirectoryWalk: Sendable {
    private let files: ObjectFiles
    private let prefix: String
    /// What is still to visit at each level, the next one last.
    private var levels: [[Pending]] = []
    private var hasBegun = false

    private struct Pending: Sendable {
        var key: String
        var isDirectory: Bool
    }

    init(files: ObjectFiles, prefix: String) {
        self.files = files
        self.prefix = prefix
    }

    /// The next objects, none at the end.
    mutating func next(atMost count: Int) throws -> [StoredObject] {
        if !hasBegun {
            hasBegun = true
            let folder = prefix.lastIndex(of: "/").map { String(prefix[..<$0]) } ?? ""
            levels.append(try pending(in: folder))
        }
        var page: [StoredObject] = []
        while page.count < count, let last = levels.indices.last {
            guard let item = levels[last].popLast() else {
                levels.removeLast()
                continue
            }
            if item.isDirectory {
                levels.append(try pending(in: item.key))
            } else if let size = try files.size(of: item.key) {
                page.append(StoredObject(key: item.key, size: size))
            }
            // An object that is gone by now was deleted while we walked: it is not there.
        }
        return page
    }

    private func pending(in folder: String) throws -> [Pending] {
        try files.entries(of: folder)
            .map { Pending(key: folder.isEmpty ? $0.name : "\(folder)/\($0.name)", isDirectory: $0.isDirectory) }
            .filter { item in
                // Bytes, not characters: a prefix may end inside a name.
                let key = item.key.utf8
                return key.starts(with: prefix.utf8)
                    || (item.isDirectory && prefix.utf8.starts(with: "\(item.key)/".utf8))
            }
            // A folder sorts as its keys do, with the slash: "a-b" comes before "a/b". The next one is last.
            .sorted { StoreKey.areInOrder(Self.sortKey($1), Self.sortKey($0)) }
    }

    private static func sortKey(_ item: Pending) -> String { item.isDirectory ? item.key + "/" : item.key }
}
