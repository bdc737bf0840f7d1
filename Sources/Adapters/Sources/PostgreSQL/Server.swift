// SPDX-License-Identifier: Apache-2.0
import Domain

/// A PostgreSQL server as reached through psql. Holds no connection.
struct Server: Sendable {
    let programs: ClientPrograms
    let settings: PostgreSQLSettings
    let identity: ServerIdentity
    /// The database for what belongs to no database: the maintenance database, or another one while that one is shut.
    var home: String

    var transport: any Transport { programs.transport }

    /// Reaches the server and asks who it is; programs of the server's own major are preferred from then on.
    ///
    /// - Throws: `Failure` of `.sourceUnreachable`, `.sourceDenied`, `.programMissing`.
    static func reach(_ environment: AdapterEnvironment, _ settings: PostgreSQLSettings) async throws -> Server {
        var password: String?
        if let reference = settings.password { password = try await environment.secrets.resolve(reference) }
        let programs = ClientPrograms(
            transport: environment.transport, settings: settings, folder: settings.programs, password: password)
        let session = Psql(programs: programs)
        let (home, row) = try await identify(session, settings)
        let identifier: String?
        do {
            identifier = try await session.rows(
                Named.self, "SELECT system_identifier::text AS name FROM pg_control_system()", home
            ).first?.name
        } catch let error as Failure where error.code == .sourceDenied {
            // Some hosted servers keep it to themselves; then the identity stays unknown, which the plan says.
            identifier = nil
        }
        return Server(
            programs: programs.matching(major: row.number / 10000), settings: settings,
            identity: ServerIdentity(row: row, systemIdentifier: identifier), home: home)
    }

    /// Asks in the maintenance database, or in another one when a restore that was killed has left that one shut or
    /// renamed: the way back must not depend on it.
    private static func identify(
        _ session: Psql, _ settings: PostgreSQLSettings
    ) async throws -> (String, ServerIdentity.Row) {
        var first: Failure?
        for home in [settings.maintenanceDatabase, "postgres", "template1"] {
            do {
                if let row = try await session.rows(ServerIdentity.Row.self, ServerIdentity.query, home).first {
                    return (home, row)
                }
            } catch let error as Failure {
                let isShut = ["not currently accepting connections", "does not exist"].contains {
                    error.summary.contains($0)
                }
                guard isShut, !error.summary.contains("role ") else { throw first ?? error }
                first = first ?? error
            }
        }
        throw first ?? Failure(.sourceUnreachable, "the server does not say who it is")
    }

    /// The rows of a query, by column name in snake case.
    func rows<Row: Decodable & Sendable>(
        _ type: Row.Type, _ query: String, in database: String? = nil
    ) async throws -> [Row] {
        try await Psql(programs: programs).rows(type, query, database ?? home)
    }

    /// Runs statements one after another, each committed by itself unless `script` says otherwise; stops at the first
    /// error.
    func execute(_ script: String, in database: String? = nil) async throws {
        // Statements in a restored database (ANALYZE) may run functions that rely on its own search path.
        let prelude =
            (database == nil ? "SET search_path = pg_catalog;\n" : "") + Psql.patience
            + "SET default_transaction_read_only = off; SET lock_timeout = 0;\n"
        _ = try await Psql(programs: programs).text(prelude + script, database ?? home)
    }

    /// The same server worked on from a database other than those named.
    func away(from names: [String]) -> Server {
        var server = self
        server.home =
            [home, settings.maintenanceDatabase, "postgres", "template1"].first { !names.contains($0) } ?? "template1"
        return server
    }

    /// `PostgreSQL 15.20 at /run/postgresql:5432, system 7710…`.
    var description: String {
        let place = "\(settings.host ?? "the default host"):\(settings.port ?? 5432)"
        let system = identity.systemIdentifier.map { ", system \($0)" } ?? ""
        return "PostgreSQL \(identity.version) at \(place)\(system) through \(transport.description)"
    }
}

/// A row of one name.
struct Named: Decodable, Sendable {
    var name: String
}

/// Who a server is and what the connected role may do.
struct ServerIdentity: Sendable {
    struct Row: Decodable, Sendable {
        var number: Int
        var version: String
        var role: String
        var isSuper: Bool
        var bypassesRls: Bool
        var createsDatabases: Bool
        var readsAll: Bool
        var isReplica: Bool
        var position: String?
        var dataDirectory: String?
    }

    /// `server_version_num`, such as 150020.
    var number: Int
    var version: PostgreSQLVersion
    var systemIdentifier: String?
    var role: String
    var isSuperuser: Bool
    var bypassesRowSecurity: Bool
    var createsDatabases: Bool
    /// Whether the role is a member of `pg_read_all_data`.
    var readsAllData: Bool
    var isReplica: Bool
    /// The write-ahead log's position (on a replica: what is replayed).
    var position: String?
    /// Only told to superusers and pg_read_all_settings.
    var dataDirectory: String?

    var major: Int { number / 10000 }

    init(row: Row, systemIdentifier: String?) {
        number = row.number
        // `15.20 (Debian 15.20-0+deb12u1)`: the first word.
        version = PostgreSQLVersion(
            major: row.number / 10000, description: String(row.version.prefix { !$0.isWhitespace }))
        self.systemIdentifier = systemIdentifier
        role = row.role
        isSuperuser = row.isSuper
        bypassesRowSecurity = row.isSuper || row.bypassesRls
        createsDatabases = row.isSuper || row.createsDatabases
        readsAllData = row.isSuper || row.readsAll
        isReplica = row.isReplica
        position = row.position
        dataDirectory = row.dataDirectory
    }

    /// The write-ahead log's position as text; on a replica, what is replayed.
    static let positionQuery =
        "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text"

    static let query = """
        SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
            r.rolname AS role, r.rolsuper AS is_super, r.rolbypassrls AS bypasses_rls,
            r.rolcreatedb AS creates_databases, pg_is_in_recovery() AS is_replica,
            \(positionQuery) AS position,
            EXISTS (SELECT FROM pg_roles p WHERE p.rolname = 'pg_read_all_data'
                AND pg_has_role(r.oid, p.oid, 'USAGE')) AS reads_all,
            (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS data_directory
        FROM pg_roles r WHERE r.rolname = current_user
        """
}
