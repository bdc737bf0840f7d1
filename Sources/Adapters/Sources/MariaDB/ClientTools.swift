// SPDX-License-Identifier: Apache-2.0
import Domain

/// A client program as its `--version` describes it.
struct ClientProgram: Sendable, Equatable {
    var path: String
    var isMariaDB: Bool
    /// As printed: `10.11.19`.
    var version: String

    /// Reads what `--version` prints: `mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for …`,
    /// `mariadb from 11.4.2-MariaDB, …`, `mysqldump  Ver 8.0.40 for Linux …`.
    init?(path: String, printed text: String) {
        self.path = path
        isMariaDB = text.contains("MariaDB")
        let words = text.split { $0.isWhitespace || $0 == "," }
        let after = isMariaDB ? ["Distrib", "from"] : ["Ver", "Distrib"]
        guard
            let number = after.compactMap({ word in
                words.firstIndex { $0 == word }.flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
            }).first
        else { return nil }
        version = String(number.prefix { $0.isNumber || $0 == "." })
    }
}

/// Where the client programs are, and how they are called: as argument vectors, with the password in the environment.
struct ClientTools: Sendable {
    let transport: any Transport
    let settings: MariaDBSettings
    let password: String?

    /// The first of the programs that is there.
    ///
    /// - Throws: `Failure(.programMissing)`.
    func find(_ names: [String]) async throws -> ClientProgram {
        for name in names {
            let path = settings.programs.map { "\($0)/\(name)" } ?? name
            let text: String
            do {
                let bytes = try await transport.output(
                    of: Program(path, ["--version"], environment: ["LC_ALL": "C"]), limit: 64 << 10)
                text = String(decoding: bytes, as: UTF8.self)
            } catch let error as Failure where error.code == .programMissing {
                continue
            }
            guard let program = ClientProgram(path: path, printed: text) else {
                throw Failure(.programMissing, "'\(path) --version' does not print a version")
            }
            return program
        }
        throw Failure(
            .programMissing, "the program '\(names[0])' is missing",
            hint: "Install the MariaDB client package beside the server, or name its folder in 'programs'.")
    }

    /// `program` with the arguments for the connection and `arguments` behind them.
    func program(_ program: ClientProgram, _ arguments: [String]) -> Program {
        // Which file the options come from has to be the first argument. Nobody's own option file changes what is read.
        var vector = [settings.defaultsFile.map { "--defaults-file=\($0)" } ?? "--no-defaults"]
        if let socket = settings.socket { vector += ["--protocol=socket", "--socket=\(socket)"] }
        if let host = settings.host { vector += ["--protocol=tcp", "--host=\(host)"] }
        if let port = settings.port { vector.append("--port=\(port)") }
        if let user = settings.user { vector.append("--user=\(user)") }
        vector += encryption(program)
        vector.append("--default-character-set=utf8mb4")
        return Program(program.path, vector + arguments, environment: environment)
    }

    private func encryption(_ program: ClientProgram) -> [String] {
        guard let mode = settings.encryption else { return [] }
        var words: [String]
        switch (mode, program.isMariaDB) {
        case (.disable, true): return ["--skip-ssl"]
        case (.require, true): words = ["--ssl"]
        case (.verify, true): words = ["--ssl", "--ssl-verify-server-cert"]
        case (.disable, false): return ["--ssl-mode=DISABLED"]
        case (.require, false): words = ["--ssl-mode=REQUIRED"]
        case (.verify, false): words = ["--ssl-mode=VERIFY_IDENTITY"]
        }
        if let file = settings.authorityFile { words.append("--ssl-ca=\(file)") }
        if let file = settings.certificateFile { words.append("--ssl-cert=\(file)") }
        if let file = settings.keyFile { words.append("--ssl-key=\(file)") }
        return words
    }

    private var environment: [String: String] {
        // Messages that are looked at must be in one language.
        var variables = ["LC_ALL": "C"]
        if let password { variables["MYSQL_PWD"] = password }
        return variables
    }

    /// What a program's end amounts to, by the numbers of the errors that it prints.
    func failure(_ exit: ProgramExit, of program: Program, about object: String) -> Failure {
        let words = redacting(exit.lastWords.isEmpty ? "\(exit.status)" : exit.lastWords)
        let name = program.name.split(separator: "/").last.map(String.init) ?? program.name
        let summary = "\(name) failed for \(object) (\(exit.status)): \(words)"
        let text = exit.standardError
        func has(_ numbers: Int...) -> Bool {
            numbers.contains { number in
                ["ERROR \(number)", "Error \(number)", "error: \(number):", "(\(number))"].contains(
                    where: text.contains)
            }
        }
        let user = settings.user.map { "'\($0)'" } ?? "the user"
        // https://mariadb.com/kb/en/mariadb-error-codes/
        if has(1045, 1698) {
            return Failure(
                .sourceDenied, summary, hint: "Check the user and password in the plan's 'connection'.")
        }
        if has(1044, 1142, 1143, 1227, 1370, 1449, 1410) || text.contains("denied") {
            return Failure(
                .sourceDenied, summary, hint: "Run 'salvor doctor' for the GRANT statement that \(user) needs.")
        }
        if has(2026) {
            return Failure(
                .sourceDenied, summary,
                hint: "Is this the server you mean? Then name its authority with 'tls.ca-file', and 'host' as its "
                    + "certificate does.")
        }
        if has(2002, 2003, 2005, 2013, 2006, 1040, 1129, 1130) {
            return Failure(
                .sourceUnreachable, summary, hint: "Check that the server runs, and the plan's 'connection'.")
        }
        if has(1205) {
            return Failure(
                .sourceFailed, summary,
                hint: "Another session holds a lock; look at SHOW PROCESSLIST, or raise 'lock-timeout'.")
        }
        if has(1412, 1146, 1109) {
            return Failure(
                .sourceChanged, summary, hint: "A table was altered or dropped meanwhile; run the backup again.")
        }
        return Failure(.sourceFailed, summary)
    }

    /// Takes the password out of `text`, should a program ever have printed it.
    private func redacting(_ text: String) -> String {
        guard let password, password.count >= 4, text.contains(password) else { return text }
        return text.split(separator: password, omittingEmptySubsequences: false).joined(separator: "<redacted>")
    }
}
