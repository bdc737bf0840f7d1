// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// Who has something in a folder open, as far as this user may see. Calls block.
enum FolderUsers {
    /// Name and process id of every other process that has a file below `path` open.
    static func find(_ path: String) -> [String] {
        let files = FileManager.default
        var found: [String] = []
        for name in (try? files.contentsOfDirectory(atPath: "/proc")) ?? [] {  // without /proc nobody is known
            guard let pid = pid_t(name), pid != getpid() else { continue }
            // Processes end while this looks, and other users' may not be looked into.
            let descriptors = (try? files.contentsOfDirectory(atPath: "/proc/\(pid)/fd")) ?? []
            let isUser = descriptors.contains { descriptor in
                // As above.
                (try? files.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(descriptor)"))
                    .map { $0.hasPrefix(path + "/") } ?? false
            }
            guard isUser else { continue }
            let title = files.contents(atPath: "/proc/\(pid)/comm").map { String(decoding: $0, as: UTF8.self) } ?? "?"
            found.append("\(title.trimmingCharacters(in: .newlines)) (\(pid))")
        }
        return found.sorted()
    }
}
