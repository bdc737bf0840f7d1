// SPDX-License-Identifier: Apache-2.0
import Domain

/// What the text in `repository.store` means.
enum StoreLocation: Equatable {
    /// An absolute path without a trailing slash.
    case directory(String)
    /// A bucket and a prefix without slashes at its ends.
    case bucket(String, prefix: String)

    /// Reads `file:///path`, an absolute path, or `s3://bucket/prefix`.
    init(_ text: String) throws {
        if let rest = text.droppingPrefix("s3://") {
            self = try Self.bucket(in: rest, text)
        } else if let path = text.droppingPrefix("file://") {
            guard path.hasPrefix("/") else {
                throw Self.refused(text, "has no absolute path", "Write file:///path, with three slashes.")
            }
            self = try Self.directory(at: path, text)
        } else if text.hasPrefix("/") {
            self = try Self.directory(at: text, text)
        } else {
            throw Self.refused(
                text, "is not a store", "Write file:///path, an absolute path, or s3://bucket/prefix.")
        }
    }

    private static func directory(at path: String, _ text: String) throws -> StoreLocation {
        let parts = path.split(separator: "/")
        guard !parts.isEmpty else { throw refused(text, "is the root directory", "Name a directory below it.") }
        guard !parts.contains(".."), !parts.contains("."), !path.utf8.contains(0) else {
            throw refused(text, "has '.' or '..' in its path", "Write the path without them.")
        }
        // `%` and the like stand for themselves: it is a path, not a web address.
        return .directory("/" + parts.joined(separator: "/"))
    }

    private static func bucket(in rest: String, _ text: String) throws -> StoreLocation {
        let name = String(rest.prefix { $0 != "/" })
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, loosely: other servers and old
        // buckets allow capitals and underscores.
        let isAllowed = name.utf8.allSatisfy {
            ($0 >= 48 && $0 <= 57) || ($0 >= 65 && $0 <= 90) || ($0 >= 97 && $0 <= 122) || [45, 46, 95].contains($0)
        }
        guard isAllowed, (3...255).contains(name.utf8.count), !name.contains("..") else {
            throw refused(text, "has no valid bucket name", "Write s3://bucket/prefix.")
        }
        let prefix = rest.dropFirst(name.count).split(separator: "/").joined(separator: "/")
        if !prefix.isEmpty {
            do { try StoreKey.check(prefix) } catch {
                throw refused(text, "has a prefix that cannot be used", "Write it without '.' and '..' parts.")
            }
        }
        return .bucket(name, prefix: prefix)
    }

    private static func refused(_ text: String, _ problem: String, _ hint: String) -> Failure {
        Failure(.configuration, "the repository's store '\(text)' \(problem)", hint: hint)
    }
}
