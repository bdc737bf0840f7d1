// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// Which of a server's databases are captured.
struct DatabaseSelection: Sendable {
    struct Database: Sendable, Equatable {
        var name: String
        var characterSet: String
        var collation: String
    }

    let settings: MariaDBSettings
    let present: [Database]

    init(settings: MariaDBSettings, present: [(name: String, characterSet: String, collation: String)]) {
        self.settings = settings
        self.present = present.map { Database(name: $0.name, characterSet: $0.characterSet, collation: $0.collation) }
    }

    /// - Throws: `Failure(.sourceFailed)` for a named database that is not there, `.nothingSelected` when none is left.
    func chosen() throws -> [Database] {
        if case .named(let names) = settings.databases {
            for name in names where !present.contains(where: { $0.name == name }) {
                throw Failure(
                    .sourceFailed, "the database '\(name)' does not exist, or the user may not see it",
                    hint: "Correct 'databases' in the plan; there are: \(present.map(\.name).joined(separator: ", "))."
                )
            }
        }
        let chosen = present.filter {
            settings.includes($0.name) && !(settings.databases == .all && SchemaNames.isRestores($0.name))
        }
        guard !chosen.isEmpty else {
            throw Failure(
                .nothingSelected, "no database is selected", hint: "Correct 'databases' and 'exclude' in the plan.")
        }
        return chosen
    }

    /// What is left out although the plan says `all`, for people.
    var leftOut: [String] {
        guard settings.databases == .all else { return [] }
        return present.filter { SchemaNames.isRestores($0.name) && settings.includes($0.name) }.map {
            "database '\($0.name)' belongs to a restore and is not stored"
        }
    }
}

/// Names of the databases that a restore makes beside the live one, at most 64 characters each.
enum SchemaNames {
    /// Where a restore stages `database`: `app__salvor_k3f9qz`.
    static func staged(_ database: String, _ restoreID: String) -> String { beside(database, "__salvor_\(restoreID)") }

    /// Where the old tables are kept after a promotion: `app__before_k3f9qz`.
    static func before(_ database: String, _ restoreID: String) -> String { beside(database, "__before_\(restoreID)") }

    /// Whether the name is one that a restore gives.
    static func isRestores(_ name: String) -> Bool {
        ["__salvor_", "__before_"].contains { mark in
            guard let found = name.range(of: mark, options: .backwards) else { return false }
            let id = name[found.upperBound...]
            return !id.isEmpty && id.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) }
        }
    }

    private static func beside(_ database: String, _ suffix: String) -> String {
        guard database.unicodeScalars.count + suffix.count > 64 else { return database + suffix }
        // Long names may share their beginning; a digest keeps them apart.
        let tail = "_" + DumpScanner.hexadecimal(Self.hash(database)).prefix(8) + suffix
        return String(String.UnicodeScalarView(database.unicodeScalars.prefix(64 - tail.count))) + tail
    }

    private static func hash(_ text: String) -> UInt64 {
        var hash = DumpScanner.RowHash()
        for byte in text.utf8 { hash.add(byte) }
        return hash.value
    }
}
