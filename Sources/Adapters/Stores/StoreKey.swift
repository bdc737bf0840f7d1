// SPDX-License-Identifier: Apache-2.0
import Domain

/// The rules for keys, the same for every store, so that a repository can be copied from one to another.
enum StoreKey {
    /// S3's limit (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
    static let longest = 1024

    /// Throws unless `key` names an object: relative, `/`-separated, no empty, `.` or `..` part.
    static func check(_ key: String) throws {
        guard isValid(key) else {
            throw Failure(.internalError, "'\(key)' cannot be the key of an object")
        }
    }

    /// Throws unless `prefix` can begin a valid key; the empty one can.
    static func checkPrefix(_ prefix: String) throws {
        let whole = prefix.isEmpty || prefix.hasSuffix("/") ? prefix + "x" : prefix
        // A prefix may end in the middle of a name, so its last part may be a dot or two.
        guard isValid(whole) || isValid(whole + "x") else {
            throw Failure(.internalError, "'\(prefix)' cannot be the prefix of a key")
        }
    }

    /// Throws unless `prefix` is empty or a valid prefix ending in `/`.
    static func checkFolder(_ prefix: String) throws {
        try checkPrefix(prefix)
        guard prefix.isEmpty || prefix.hasSuffix("/") else {
            throw Failure(.internalError, "the folder prefix '\(prefix)' must end in '/'")
        }
    }

    private static func isValid(_ key: String) -> Bool {
        guard !key.isEmpty, key.utf8.count <= longest, !key.utf8.contains(0) else { return false }
        return key.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255
        }
    }

    /// Whether `left` comes before `right` in the order of their bytes, which is the order of listings. Swift's own order
    /// of strings is by Unicode's canonical equivalence.
    static func areInOrder(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }
}
