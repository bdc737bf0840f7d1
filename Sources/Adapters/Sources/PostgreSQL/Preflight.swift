// SPDX-License-Identifier: Apache-2.0
import Domain

/// Everything that would make a capture fail, found without capturing.
struct Preflight: Sendable {
    let environment: AdapterEnvironment
    let settings: PostgreSQLSettings

    func checks() async -> [Check] {
        let server: Server
        do {
            server = try await Server.reach(environment, settings)
        } catch {
            let failure = Failure.wrapping(error, as: .sourceUnreachable)
            return [Check("connection", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
        var checks = [Check("connection", .ok, server.description + " as role '\(server.identity.role)'")]
        checks += await programs(server)
        if server.identity.isReplica {
            checks.append(
                Check(
                    "replica", .warning, "the server is a replica: its dump may be cancelled by replayed changes",
                    remedy: "Set hot_standby_feedback = on, or raise max_standby_streaming_delay."))
        }
        if settings.capturesGlobals { checks.append(await globals(server)) }
        checks += await databases(server)
        return checks
    }

    private func programs(_ server: Server) async -> [Check] {
        var checks: [Check] = []
        for name in ["psql", "pg_dump", "pg_dumpall", "pg_restore"] {
            do {
                let version = try await server.programs.version(of: name)
                if name != "psql", let problem = Capturing.versionProblem(dump: version, server: server.identity) {
                    checks.append(
                        Check("\(name) version", .failed, problem.summary, remedy: problem.hint, code: problem.code))
                } else {
                    checks.append(Check("\(name) version", .ok, version.description))
                }
            } catch {
                let failure = Failure.wrapping(error, as: .programMissing)
                checks.append(
                    Check("\(name) version", .failed, failure.summary, remedy: failure.hint, code: failure.code))
            }
        }
        return checks
    }

    private struct Answer: Decodable, Sendable {
        var answer: Bool
    }

    private func globals(_ server: Server) async -> Check {
        guard settings.capturesRolePasswords else {
            return Check("globals", .ok, "roles without their passwords")
        }
        do {
            let mayRead = try await server.rows(
                Answer.self, "SELECT has_table_privilege('pg_authid', 'SELECT') AS answer"
            ).first?.answer
            if mayRead == true { return Check("globals", .ok, "roles with their password hashes") }
            return Check(
                "globals", .failed, "the role '\(server.identity.role)' may not read password hashes (pg_authid)",
                remedy: "GRANT pg_read_all_data TO \(SQLText.identifier(server.identity.role)); "
                    + "or set 'role-passwords: false' in the plan.",
                code: .sourceDenied)
        } catch {
            return Self.failed("globals", error)
        }
    }

    // MARK: - Databases

    private func databases(_ server: Server) async -> [Check] {
        let selection = DatabaseSelection(server: server)
        let names: [String]
        var checks: [Check] = []
        do {
            let candidates = try await selection.candidates()
            names = try selection.names(among: candidates)
            checks.append(Check("databases", .ok, names.joined(separator: ", ")))
            checks += selection.leftOut(among: candidates).map { Check("databases", .warning, $0) }
            let closed = candidates.filter { names.contains($0.name) && !$0.mayConnect }.map(\.name)
            for name in closed {
                checks.append(
                    Check(
                        "database \(name)", .failed,
                        "the role '\(server.identity.role)' may not connect to database '\(name)'",
                        remedy: "GRANT CONNECT ON DATABASE \(SQLText.identifier(name)) TO "
                            + "\(SQLText.identifier(server.identity.role));",
                        code: .sourceDenied))
            }
            for name in names where !closed.contains(name) { checks += await database(name, server) }
        } catch {
            checks.append(Self.failed("databases", error))
        }
        return checks
    }

    private struct Findings: Decodable, Sendable {
        var unreadable: [String]
        var rowSecurity: [String]
        var largeObjects: Int64
        var unreadableLargeObjects: Int64
        var invalidIndexes: [String]
        var foreignTables: Int64
        var subscriptions: Int64
        var extensions: [DatabaseRecord.Extension]
        var bytes: UInt64
    }

    private static let query = """
        WITH c AS (SELECT c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relnamespace
            FROM pg_class c WHERE c.relpersistence <> 't' AND \(CatalogFacts.isOrdinary("c.relnamespace")))
        SELECT (SELECT coalesce(jsonb_agg(oid::regclass::text ORDER BY oid::regclass::text), '[]'::jsonb) FROM c
                WHERE relkind IN ('r', 'p', 'm', 'S', 'v') AND NOT (has_table_privilege(oid, 'SELECT')
                    AND has_schema_privilege(relnamespace, 'USAGE'))) AS unreadable,
            (SELECT coalesce(jsonb_agg(oid::regclass::text ORDER BY oid::regclass::text), '[]'::jsonb) FROM c
                WHERE relrowsecurity AND (relforcerowsecurity OR NOT pg_has_role(relowner, 'USAGE'))) AS row_security,
            (SELECT count(*) FROM pg_largeobject_metadata) AS large_objects,
            (SELECT count(*) FROM pg_largeobject_metadata m WHERE NOT pg_has_role(m.lomowner, 'USAGE')
                AND current_setting('lo_compat_privileges') = 'off' AND NOT EXISTS (SELECT FROM aclexplode(m.lomacl) a
                    WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE'))))
                AS unreadable_large_objects,
            (SELECT coalesce(jsonb_agg(i.indexrelid::regclass::text ORDER BY i.indexrelid), '[]'::jsonb) FROM pg_index i
                JOIN pg_class k ON k.oid = i.indexrelid WHERE NOT i.indisvalid AND k.relkind = 'i') AS invalid_indexes,
            (SELECT count(*) FROM c WHERE relkind = 'f') AS foreign_tables,
            (SELECT count(*) FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
                WHERE d.datname = current_database()) AS subscriptions,
            (SELECT coalesce(jsonb_agg(jsonb_build_object('name', extname, 'version', extversion) ORDER BY extname),
                '[]'::jsonb) FROM pg_extension) AS extensions,
            (SELECT coalesce(sum(pg_table_size(oid)), 0)::bigint FROM c WHERE relkind IN ('r', 'm')) AS bytes
        """

    private func database(_ name: String, _ server: Server) async -> [Check] {
        let label = "database \(name)"
        let role = SQLText.identifier(server.identity.role)
        let found: Findings
        do {
            guard let row = try await server.rows(Findings.self, Self.query, in: name).first else { return [] }
            found = row
        } catch { return [Self.failed(label, error)] }
        var checks: [Check] = []
        if !server.identity.isSuperuser, !found.unreadable.isEmpty {
            checks.append(
                Check(
                    label, .failed,
                    "the role '\(server.identity.role)' may not read \(Self.list(found.unreadable))",
                    remedy: server.identity.major >= 14
                        ? "GRANT pg_read_all_data TO \(role);"
                        : "GRANT USAGE on the schemas and SELECT on all tables and sequences to \(role).",
                    code: .sourceDenied))
        }
        if !server.identity.bypassesRowSecurity, !found.rowSecurity.isEmpty {
            checks.append(
                Check(
                    label, .failed, "row security hides rows of \(Self.list(found.rowSecurity))",
                    remedy: "ALTER ROLE \(role) BYPASSRLS;", code: .sourceDenied))
        }
        let readsLargeObjects =
            server.identity.isSuperuser || server.identity.major >= 19 && server.identity.readsAllData
        if !readsLargeObjects, found.unreadableLargeObjects > 0 {
            checks.append(
                Check(
                    label, .failed,
                    "the role '\(server.identity.role)' may not read \(found.unreadableLargeObjects) large objects",
                    remedy: "As a superuser: ALTER ROLE \(role) SET lo_compat_privileges = on;", code: .sourceDenied))
        }
        for index in found.invalidIndexes {
            checks.append(
                Check(
                    label, .warning, "the index \(index) is invalid and will not be stored",
                    remedy: "REINDEX INDEX CONCURRENTLY \(index); or drop it."))
        }
        if found.foreignTables > 0 {
            checks.append(
                Check(label, .warning, "rows of \(found.foreignTables) foreign tables stay where they are"))
        }
        if found.subscriptions > 0 {
            checks.append(
                Check(
                    label, .warning,
                    "\(found.subscriptions) subscriptions come back disabled"
                        + (server.identity.isSuperuser ? "" : ", and only a superuser can store them")))
        }
        let extensions = found.extensions.map { "\($0.name) \($0.version)" }.joined(separator: ", ")
        if found.extensions.contains(where: { $0.name == "timescaledb" }) {
            checks.append(
                Check(
                    label, .warning, "timescaledb needs steps of its own at restore, which salvor does not take",
                    remedy: "Read timescaledb's page on logical backups."))
        }
        checks.append(Check(label, .ok, "\(found.bytes) bytes in tables; extensions \(extensions)"))
        return checks
    }

    private static func list(_ names: [String]) -> String {
        names.count <= 3
            ? names.joined(separator: ", ")
            : "\(names.prefix(3).joined(separator: ", ")) and \(names.count - 3) more"
    }

    private static func failed(_ name: String, _ error: any Error) -> Check {
        let failure = Failure.wrapping(error, as: .sourceFailed)
        return Check(name, .failed, failure.summary, remedy: failure.hint, code: failure.code)
    }
}
