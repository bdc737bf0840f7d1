// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import DataFolders
import Domain
import Foundation
import Glibc

/// An empty MariaDB server in a folder.
struct ScratchMariaDB: Sendable {
    /// The file that tells clients where the server is; in its folder.
    static let options = "my.cnf"
    /// The account that a new server has, without a password: its socket is in a folder that is closed to others.
    private static let superuser = "root"

    private let folder: String
    private let server: String
    private let installer: String
    private let nameCase: String
    private let transport: any Transport
    private let account: ScratchAccount

    private var socket: String { "\(folder)/s" }
    private var data: String { "\(folder)/data" }
    private var temporary: String { "\(folder)/tmp" }

    /// - Throws: `Failure(.programMissing)` when this host has no such server, `.restoreBlocked` for a bundle of MySQL.
    init(folder: String, origin: ServerRecord, programs: String?, transport: any Transport) throws {
        guard origin.product == "MariaDB" else {
            throw Failure(
                .restoreBlocked, "bundles of \(origin.product) \(origin.version) are not drilled, only MariaDB's",
                hint:
                    "Restore it beside, on a server of its kind, with 'salvor restore --stage-only', or leave it out with "
                    + "--source.")
        }
        let hint =
            "Install MariaDB \(origin.version) or newer (mariadb-server), or hold the drill on a host that has it."
        guard let server = ScratchProgram.find(["mariadbd", "mysqld"], in: [programs, "/usr/sbin", "/usr/libexec"])
        else {
            throw Failure(
                .programMissing, "this host has no MariaDB server to drill with (mariadbd)", hint: hint)
        }
        guard
            let installer = ScratchProgram.find(
                ["mariadb-install-db", "mysql_install_db"], in: [programs, "/usr/bin"])
        else {
            throw Failure(
                .programMissing, "this host has no program to make a MariaDB server with (mariadb-install-db)",
                hint: hint)
        }
        (self.folder, self.server, self.installer, self.transport) = (folder, server, installer, transport)
        nameCase = origin.nameCase
        account = try ScratchAccount(["mysql", "nobody"], of: "MariaDB")
    }

    /// Settings that reach the server and are otherwise those of the plan.
    func settings(like live: MariaDBSettings) -> MariaDBSettings {
        var settings = live
        (settings.host, settings.port, settings.socket) = (nil, nil, socket)
        (settings.user, settings.password, settings.defaultsFile) = (Self.superuser, nil, nil)
        (settings.encryption, settings.authorityFile) = (nil, nil)
        (settings.certificateFile, settings.keyFile) = (nil, nil)
        return settings
    }

    /// Makes the server and runs it while `body` works.
    func run<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        let text = "[client]\nsocket=\(socket)\nuser=\(Self.superuser)\n"
        try await Blocking.run { [account, folder, temporary] in
            let path = "\(folder)/\(Self.options)"
            guard
                FileManager.default.createFile(
                    atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o644])
            else { throw Failure(.localInput, "unable to write '\(path)'") }
            // Servers that share one remove each other's temporary tables when they start.
            try account.make(temporary)
            try account.take(folder)
        }
        let (_, exit) = try await transport.outputAndExit(of: program(installer, common + installing))
        // The program that changes the account is not the one to name.
        try exit.requireSuccess(of: Program(installer, []))
        return try await ScratchProgram.run(program(server, common + serving), named: server, transport, body)
    }

    private var common: [String] {
        ["--no-defaults", "--datadir=\(data)", "--tmpdir=\(temporary)", "--lower-case-table-names=\(nameCase)"]
    }

    private var installing: [String] {
        let words = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        // One that was unpacked somewhere has to be told where.
        guard !installer.hasPrefix("/usr/bin/") else { return words }
        return words + ["--basedir=\(FolderExchange.parent(of: FolderExchange.parent(of: installer)))"]
    }

    private var serving: [String] {
        [
            "--socket=\(socket)", "--pid-file=\(folder)/pid", "--skip-networking", "--skip-name-resolve",
            "--max-allowed-packet=1G", "--secure-file-priv=\(temporary)", "--local-infile=0",
            // What is scheduled in the restored databases is not this server's to do.
            "--event-scheduler=OFF",
            // It is thrown away: a crash costs a new drill, and nothing else.
            "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--loose-innodb-doublewrite=0",
            "--loose-innodb-fast-shutdown=2",
        ]
    }

    private func program(_ path: String, _ arguments: [String]) -> Program {
        account.program(path, arguments, endingWith: "KILL", home: folder)
    }
}
