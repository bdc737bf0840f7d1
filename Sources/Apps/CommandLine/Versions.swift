// SPDX-License-Identifier: Apache-2.0
import Archiving
import Compression
import Domain
import Encryption
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
            ("libcurl", TransferLibrary.version),
        ]
    }

    /// A library older than the headers this was built with may lack what the code counts on.
    static func requireLoadedLibraries() throws {
        guard CompressionLibrary.isCompatible else {
            throw Failure(
                .programMissing,
                "libzstd \(CompressionLibrary.version) is older than \(CompressionLibrary.builtAgainst), which salvor was built for",
                hint: "Install a newer libzstd1.")
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
