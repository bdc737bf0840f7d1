// SPDX-License-Identifier: Apache-2.0
import Domain

/// What is counted of a tree, in full and in part.
struct TreeCounts: Sendable, Equatable {
    var files = 0
    var directories = 0
    var symbolicLinks = 0
    var hardLinks = 0
    var specials = 0
    var bytes: UInt64 = 0

    mutating func add(_ kind: TreeMember.Kind, size: UInt64) {
        switch kind {
        case .file:
            files += 1
            bytes += size
        case .directory: directories += 1
        case .symbolicLink: symbolicLinks += 1
        case .hardLink: hardLinks += 1
        case .fifo, .characterDevice, .blockDevice: specials += 1
        }
    }

    mutating func add(_ other: TreeCounts) {
        files += other.files
        directories += other.directories
        symbolicLinks += other.symbolicLinks
        hardLinks += other.hardLinks
        specials += other.specials
        bytes += other.bytes
    }

    var facts: Facts {
        Facts([
            "files": .count(Int64(files)), "directories": .count(Int64(directories)),
            "symbolic links": .count(Int64(symbolicLinks)), "hard links": .count(Int64(hardLinks)),
            "fifos and devices": .count(Int64(specials)), "bytes": .count(Int64(bytes)),
        ])
    }
}
