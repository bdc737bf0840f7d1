// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc

/// The plain files of log directories at one moment, by path and by inode. Calls block.
struct LogFiles: Sendable {
    struct File: Sendable, Equatable {
        var path: String
        var device: UInt64
        var inode: UInt64
        var size: Int64
        /// Seconds since 1970 of the last write.
        var modified: Int64
    }

    let files: [File]
    private let byIdentity: [Identity: File]
    private let byPath: [String: File]

    private struct Identity: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    /// Looks at everything below `paths`, following no link. What vanishes meanwhile is not there.
    init(below paths: [String]) {
        var found: [File] = []
        var pending = paths
        while let path = pending.popLast() {
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                // The capture says what may not be read.
                let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
                pending += names.map { "\(path)/\($0)" }
            case S_IFREG:
                found.append(
                    File(
                        path: path, device: UInt64(status.st_dev), inode: UInt64(status.st_ino),
                        size: Int64(status.st_size), modified: Int64(status.st_mtim.tv_sec)))
            default: break
            }
        }
        files = found.sorted { $0.path < $1.path }
        byIdentity = Dictionary(found.map { (Identity(device: $0.device, inode: $0.inode), $0) }) { first, _ in first }
        byPath = Dictionary(found.map { ($0.path, $0) }) { first, _ in first }
    }

    /// The same file, wherever it is now.
    func same(as file: File) -> File? { byIdentity[Identity(device: file.device, inode: file.inode)] }

    /// The file of that name.
    func named(_ path: String) -> File? { byPath[path] }
}
