// SPDX-License-Identifier: Apache-2.0

/// A name of something in a server, exact or with `*` (any text) and `?` (any one character).
public struct NamePattern: Sendable {
    private let pattern: [Character]

    public init(_ text: String) {
        pattern = Array(text)
    }

    /// Whether `name` is the pattern itself or fits it as a whole.
    public func matches(_ name: String) -> Bool {
        let name = Array(name)
        if name == pattern { return true }
        // Iterative matching with one point to fall back to: the last star.
        var (i, j) = (0, 0)
        var star: (pattern: Int, name: Int)?
        while j < name.count {
            if i < pattern.count, pattern[i] == "*" {
                star = (i, j)
                i += 1
            } else if i < pattern.count, pattern[i] == "?" || pattern[i] == name[j] {
                (i, j) = (i + 1, j + 1)
            } else if let last = star {
                star = (last.pattern, last.name + 1)
                (i, j) = (last.pattern + 1, last.name + 1)
            } else {
                return false
            }
        }
        return pattern[i...].allSatisfy { $0 == "*" }
    }
}
