// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// Who has a database open, as far as this user may see.
enum OpenFiles {
    /// Process id and name of every other process that has the file or one beside it open. Blocks.
    static func users(of path: String) -> [String] {
        let wanted = Set(([""] + DatabaseFile.companions).map { path + $0 })
        var found: [String] = []
        let files = FileManager.default
        for name in (try? files.contentsOfDirectory(atPath: "/proc")) ?? [] {  // without /proc nobody is known
            guard let pid = pid_t(name), pid != getpid() else { continue }
            // Processes end while this looks, and other users' may not be looked into.
            let descriptors = (try? files.contentsOfDirectory(atPath: "/proc/\(pid)/fd")) ?? []
            let isUser = descriptors.contains { descriptor in
                // As above.
                (try? files.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(descriptor)"))
                    .map(wanted.contains) ?? false
            }
            guard isUser else { continue }
            let title = files.contents(atPath: "/proc/\(pid)/comm").map { String(decoding: $0, as: UTF8.self) } ?? "?"
            found.append("\(title.trimmingCharacters(in: .newlines)) (\(pid))")
        }
        return found.sorted()
    }
}
