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

    private static var libraries: [(name: String, loaded: String, require: @Sendable () throws -> Void)] {
        []
    }

    /// A library older than the headers this was built with may lack what the code counts on.
    static func requireLoadedLibraries() throws {
        for library in libraries { try library.require() }
    }
}
