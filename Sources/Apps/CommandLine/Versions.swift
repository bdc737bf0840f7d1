// SPDX-License-Identifier: Apache-2.0
import Archiving
import Compression
import Domain
import Encryption
import SQLite
import Transfer

/// This program's version and those of the C libraries it runs with.
enum Versions {
    static let salvor = "0.1.0"

    /// What `--version` prints.
    static var text: String {
        "salvor \(salvor) (repository format \(currentFormat))\n"
            + libraries.map { "  \($0.name) \($0.loaded)" }.joined(separator: "\n")
    }

    private static var libraries: [(name: String, loaded: String)] {
        // A library that cannot tell its version is refused by `requireLoadedLibraries` before this is printed.
        [
            ("libzstd", CompressionLibrary.version), ("gpgme", (try? EncryptionLibrary.version()) ?? "unusable"),
            ("libcurl", TransferLibrary.version), ("libarchive", ArchivingLibrary.version),
            ("sqlite", SQLiteLibrary.version),
        ]
    }

    /// What `requireLoadedLibraries` compares; gpgme and libcurl look for themselves when they are started.
    private static var comparable: [(name: String, loaded: String, built: String, isCompatible: Bool, package: String)]
    {
        [
            (
                "libzstd", CompressionLibrary.version, CompressionLibrary.builtAgainst,
                CompressionLibrary.isCompatible, "libzstd1"
            ),
            (
                "libarchive", ArchivingLibrary.version, ArchivingLibrary.builtAgainst, ArchivingLibrary.isCompatible,
                "libarchive13"
            ),
            (
                "sqlite", SQLiteLibrary.version, SQLiteLibrary.builtAgainst, SQLiteLibrary.isCompatible,
                "libsqlite3-0"
            ),
        ]
    }

    /// A library older than the headers this was built with may lack what the code counts on.
    static func requireLoadedLibraries() throws {
        for library in comparable where !library.isCompatible {
            throw Failure(
                .programMissing,
                "\(library.name) \(library.loaded) is loaded, but salvor was built for \(library.built) or newer of that major version",
                hint: "Install a newer \(library.package).")
        }
        do {
            _ = try EncryptionLibrary.version()
            try TransferLibrary.requireUsable()
        } catch {
            throw Failure(
                .programMissing, "a library cannot be used: \(error)", hint: "Install libgpgme11 and libcurl4.")
        }
    }
}
