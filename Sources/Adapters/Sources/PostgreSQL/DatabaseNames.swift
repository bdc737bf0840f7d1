// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// Names of the databases a restore makes beside the live ones, at most 63 bytes each (NAMEDATALEN - 1).
enum DatabaseNames {
    static let limit = 63

    /// Where a restore stages `database`: `app__salvor_k3f9qz`.
    static func staged(_ database: String, _ restoreID: String) -> String { beside(database, "__salvor_\(restoreID)") }

    /// Where the old one is kept after a promotion: `app__before_k3f9qz`.
    static func before(_ database: String, _ restoreID: String) -> String { beside(database, "__before_\(restoreID)") }

    /// Eight bytes of a name's SHA-256 in hexadecimal.
    static func digest(_ name: String) -> String { String(SHA256Digest.of(Array(name.utf8)).description.prefix(16)) }

    private static func beside(_ database: String, _ suffix: String) -> String {
        guard database.utf8.count + suffix.utf8.count > limit else { return database + suffix }
        // Long names may share their beginning; a digest keeps them apart.
        let tail = "_" + digest(database).prefix(8) + suffix
        var kept = String.UnicodeScalarView()
        var bytes = 0
        for scalar in database.unicodeScalars {
            bytes += String(scalar).utf8.count
            guard bytes + tail.utf8.count <= limit else { break }
            kept.append(scalar)
        }
        return String(kept) + tail
    }
}
