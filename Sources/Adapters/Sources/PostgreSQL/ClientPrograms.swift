// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// The version of a PostgreSQL program or server.
struct PostgreSQLVersion: Sendable, Equatable, Comparable, CustomStringConvertible {
    var major: Int
    /// As printed: `15.20`, `18beta1`.
    var description: String

    static func < (left: PostgreSQLVersion, right: PostgreSQLVersion) -> Bool { left.major < right.major }

    init(major: Int, description: String) {
        self.major = major
        self.description = description
    }

    /// Reads what `--version` prints: `pg_dump (PostgreSQL) 15.20 (Debian …)`.
    init?(printed text: String) {
        guard let word = text.split(whereSeparator: \.isWhitespace).first(where: { $0.first?.isNumber == true }) else {
            return nil
        }
        self.init(String(word))
    }

    /// Reads `15.20`.
    init?(_ text: String) {
        guard let major = Int(text.prefix { $0.isASCII && $0.isNumber }) else { return nil }
        self.major = major
        description = text
    }
}

/// Where the client programs are, and how they are called: as argument vectors, with the password in the environment.
struct ClientPrograms: Sendable {
    let transport: any Transport
    let settings: PostgreSQLSettings
    /// The folder of the programs; nil: found in PATH.
    let folder: String?
    let password: String?

    /// The program `name` with connection arguments for `database` and `arguments` behind them.
    ///
    /// - Parameter database: nil leaves the database to the arguments.
    func program(_ name: String, database: String?, _ arguments: [String]) -> Program {
        var vector: [String] = []
        if let host = settings.host { vector.append("--host=\(host)") }
        if let port = settings.port { vector.append("--port=\(port)") }
        if let user = settings.user { vector.append("--username=\(user)") }
        // A prompt would wait for ever, and a prompt on standard output damages an archive.
        vector.append("--no-password")
        if let database { vector.append("--dbname=\(Self.databaseArgument(database))") }
        return Program(path(of: name), vector + arguments, environment: environment)
    }

    /// A program that reaches no server.
    func offline(_ name: String, _ arguments: [String]) -> Program {
        Program(path(of: name), arguments, environment: ["LC_ALL": "C"])
    }

    /// The version `name --version` prints.
    ///
    /// - Throws: `Failure(.programMissing)`.
    func version(of name: String) async throws -> PostgreSQLVersion {
        let program = offline(name, ["--version"])
        let text: String
        do {
            text = String(decoding: try await transport.output(of: program), as: UTF8.self)
        } catch let error as Failure where error.code == .programMissing {
            throw Failure(
                .programMissing, "the program '\(program.name)' is missing",
                hint: "Install the PostgreSQL client package beside the server, or name its folder in 'programs'.")
        }
        guard let version = PostgreSQLVersion(printed: text) else {
            throw Failure(.programMissing, "'\(program.name) --version' does not print a version")
        }
        return version
    }

    /// The same programs of the server's own major, when they are at the usual place of this host's distribution.
    ///
    /// A newer pg_dump reads an older server, but what it writes may not go back into that server.
    func matching(major: Int) -> ClientPrograms {
        guard settings.programs == nil, transport.reachesLocalFiles else { return self }
        let folders = ["/usr/lib/postgresql/\(major)/bin", "/usr/pgsql-\(major)/bin"]
        guard let folder = folders.first(where: { access("\($0)/pg_dump", X_OK) == 0 }) else { return self }
        return ClientPrograms(transport: transport, settings: settings, folder: folder, password: password)
    }

    /// Takes the password out of `text`, should a program ever have printed it.
    func redacting(_ text: String) -> String {
        guard let password, password.count >= 4, text.contains(password) else { return text }
        return text.split(separator: password, omittingEmptySubsequences: false).joined(separator: "<redacted>")
    }

    private func path(of name: String) -> String { folder.map { "\($0)/\(name)" } ?? name }

    private var environment: [String: String] {
        var variables = [
            // Messages that are looked at must be in one language.
            "LC_ALL": "C",
            "PGAPPNAME": "salvor",
            "PGCONNECT_TIMEOUT": "15",
            // The dump's own encoding is given as an argument; everything read here is UTF-8.
            "PGCLIENTENCODING": "UTF8",
        ]
        if let password { variables["PGPASSWORD"] = password }
        if let mode = settings.sslMode { variables["PGSSLMODE"] = mode }
        if let file = settings.sslFiles.rootCertificate { variables["PGSSLROOTCERT"] = file }
        if let file = settings.sslFiles.certificate { variables["PGSSLCERT"] = file }
        if let file = settings.sslFiles.key { variables["PGSSLKEY"] = file }
        return variables
    }

    /// A database name as an argument. The programs take a name with `=` in it, or one that begins like a URI, for a
    /// connection string, so such names are given as a connection string that holds only the name.
    private static func databaseArgument(_ name: String) -> String {
        if !name.isEmpty, name.utf8.allSatisfy({ $0 != UInt8(ascii: "=") && $0 > 0x20 }), !name.contains("://") {
            return name
        }
        var quoted = ""
        for character in name.unicodeScalars {
            if character == "'" || character == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append(character)
        }
        return "dbname='\(quoted)'"
    }
}
