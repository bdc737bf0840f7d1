// SPDX-License-Identifier: Apache-2.0
import Domain

extension MariaDBAdapter {
    func preflight() async -> [Check] {
        var checks: [Check] = []
        do {
            let server = try await server()
            checks.append(Check("connection", .ok, "\(server.description) as \(server.identity.account)"))
            checks.append(await tools(server))
            let catalog = Catalog(server: server)
            let selection = DatabaseSelection(settings: settings, present: try await catalog.databases())
            let databases = try selection.chosen().map(\.name)
            checks.append(
                Check(
                    "databases", .ok, "\(databases.count) to capture: \(databases.prefix(10).joined(separator: ", "))"))
            checks.append(rights(try await Rights.read(server), databases, server))
            checks.append(try await engines(catalog, databases))
            checks.append(
                server.identity.hasBinaryLog
                    ? Check("binary log", .ok, "on: positions are recorded")
                    : Check(
                        "binary log", .warning, "the server writes no binary log: no recovery to a point in time",
                        remedy: "Set 'log_bin' in the server's configuration, and keep the logs."))
        } catch {
            let failure = Failure.wrapping(error, as: .sourceFailed)
            let name = failure.code == .nothingSelected || failure.code == .sourceFailed ? "databases" : "connection"
            checks.append(Check(name, .failed, failure.summary, remedy: failure.hint, code: failure.code))
        }
        return checks
    }

    private func tools(_ server: Server) async -> Check {
        do {
            let dump = try await server.dumpProgram()
            let words = "\(dump.path) \(dump.version)"
            guard dump.isMariaDB == server.identity.isMariaDB else {
                return Check(
                    "programs", .warning, "\(words) is of another product than the server",
                    remedy: "Install the client programs of \(server.identity.product) beside the server.")
            }
            let (mine, theirs) = (ServerIdentity.series(dump.version), server.identity.series)
            guard !mine.lexicographicallyPrecedes(theirs) else {
                return Check(
                    "programs", .warning, "\(words) is older than the server's \(server.identity.number)",
                    remedy: "Install the client programs of \(server.identity.engine).")
            }
            return Check("programs", .ok, words)
        } catch {
            let failure = Failure.wrapping(error, as: .programMissing)
            return Check("programs", .failed, failure.summary, remedy: failure.hint, code: failure.code)
        }
    }

    private func rights(_ rights: Rights, _ databases: [String], _ server: Server) -> Check {
        let missing = rights.missing(for: databases, settings: settings, identity: server.identity)
        guard !missing.isEmpty else { return Check("rights", .ok, "all that a backup needs") }
        let account = server.identity.account.split(separator: "@", maxSplits: 1).map { "'\($0)'" }
        return Check(
            "rights", .failed, "\(server.identity.account) lacks \(missing.joined(separator: ", "))",
            remedy: "GRANT \(missing.joined(separator: ", ")) ON *.* TO \(account.joined(separator: "@"));",
            code: .sourceDenied)
    }

    private func engines(_ catalog: Catalog, _ databases: [String]) async throws -> Check {
        var drifting: [String] = []
        for database in databases {
            drifting += try await catalog.tables(database).filter {
                !$0.isView && !$0.isSequence && !$0.hasTransactions
            }.map { "\(database).\($0.name)" }
        }
        if drifting.isEmpty { return Check("engines", .ok, "every table has transactions") }
        let names = drifting.prefix(5).joined(separator: ", ") + (drifting.count > 5 ? "…" : "")
        guard settings.nonTransactional == .report else {
            return Check("engines", .ok, "\(drifting.count) tables without transactions are locked: \(names)")
        }
        return Check(
            "engines", .warning, "\(drifting.count) tables have no transactions: \(names)",
            remedy: "Convert them to InnoDB, or set 'non-transactional: lock'.")
    }
}
