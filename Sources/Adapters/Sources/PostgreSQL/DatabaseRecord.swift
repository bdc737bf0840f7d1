// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// What a bundle keeps about a server, in order to restore it.
struct ClusterRecord: Codable, Sendable {
    var format = 1
    /// `server_version_num` of the source.
    var serverNumber: Int
    var serverVersion: String
    /// The version of the pg_dump that wrote the archives.
    var dumpVersion: String
    var systemIdentifier: String?
    /// Whether there is a stream `globals`, and whether passwords are in it.
    var hasGlobals: Bool
    var hasRolePasswords: Bool
    var databases: [DatabaseRecord]
}

/// What the archive of a database does not hold, or gives only under its original name.
struct DatabaseRecord: Codable, Sendable {
    struct Grant: Codable, Sendable {
        /// nil: everybody.
        var grantee: String?
        var privilege: String
        var isGrantable: Bool
    }

    struct Setting: Codable, Sendable {
        /// nil: the database's own.
        var role: String?
        /// `name=value`, as PostgreSQL keeps them.
        var values: [String]
    }

    struct Extension: Codable, Sendable {
        var name: String
        var version: String
    }

    var name: String
    /// The stream of its archive.
    var stream = ""
    var owner: String
    var encoding: String
    var collate: String?
    var ctype: String?
    /// `c`: libc, `i`: ICU, `b`: built in.
    var provider: String
    /// The locale of ICU or the built-in provider.
    var locale: String?
    var icuRules: String?
    var connectionLimit: Int
    var tablespace: String
    var acl: [Grant]
    var comment: String?
    var settings: [Setting]
    var extensions: [Extension]
    /// Tablespaces that its tables and indexes name.
    var tablespaces: [String]
    /// Roles that own something or are granted something in it.
    var roles: [String]
    var subscriptions: Int
    var position: String?
    var tables: Int
    /// `pg_table_size` of all tables.
    var bytes: UInt64

    /// Everything about one database, asked within it.
    static func query(major: Int) -> String {
        let provider = major >= 15 ? "d.datlocprovider::text" : "'c'"
        let locale = major >= 17 ? "d.datlocale" : major >= 15 ? "d.daticulocale" : "NULL::text"
        let rules = major >= 16 ? "d.daticurules" : "NULL::text"
        return """
            SELECT d.datname AS name, '' AS stream, pg_get_userbyid(d.datdba) AS owner,
                pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collate, d.datctype AS ctype,
                \(provider) AS provider, \(locale) AS locale, \(rules) AS icu_rules,
                d.datconnlimit AS connection_limit,
                (SELECT spcname FROM pg_tablespace t WHERE t.oid = d.dattablespace) AS tablespace,
                (SELECT coalesce(jsonb_agg(jsonb_build_object('grantee', CASE WHEN a.grantee <> 0
                        THEN pg_get_userbyid(a.grantee) END, 'privilege', a.privilege_type,
                        'is_grantable', a.is_grantable) ORDER BY a.grantee, a.privilege_type), '[]'::jsonb)
                    FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a) AS acl,
                shobj_description(d.oid, 'pg_database') AS comment,
                (SELECT coalesce(jsonb_agg(jsonb_build_object('role', CASE WHEN s.setrole <> 0
                        THEN pg_get_userbyid(s.setrole) END, 'values', to_jsonb(s.setconfig))
                        ORDER BY s.setrole), '[]'::jsonb)
                    FROM pg_db_role_setting s WHERE s.setdatabase = d.oid) AS settings,
                (SELECT coalesce(jsonb_agg(jsonb_build_object('name', e.extname, 'version', e.extversion)
                        ORDER BY e.extname), '[]'::jsonb) FROM pg_extension e) AS extensions,
                (SELECT coalesce(jsonb_agg(DISTINCT t.spcname), '[]'::jsonb) FROM pg_class c
                    JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE t.spcname <> 'pg_global') AS tablespaces,
                (SELECT coalesce(jsonb_agg(r.rolname ORDER BY r.rolname), '[]'::jsonb) FROM pg_roles r
                    WHERE r.oid = 10 OR r.oid = d.datdba OR r.oid IN (SELECT s.refobjid FROM pg_shdepend s
                        WHERE s.refclassid = 'pg_authid'::regclass
                        AND (s.dbid = d.oid OR s.classid = 'pg_database'::regclass AND s.objid = d.oid))
                    OR r.oid IN (SELECT s.setrole FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)) AS roles,
                (SELECT count(*) FROM pg_subscription s WHERE s.subdbid = d.oid) AS subscriptions,
                (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text
                    AS position,
                (SELECT count(*) FROM pg_class c WHERE c.relkind = 'r' AND \(CatalogFacts.isOrdinary("c.relnamespace")))
                    AS tables,
                (SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c
                    WHERE c.relkind IN ('r', 'm') AND \(CatalogFacts.isOrdinary("c.relnamespace"))) AS bytes
            FROM pg_database d WHERE d.datname = current_database()
            """
    }

    /// A stream name for a database's archive that is the same every night.
    static func streamName(_ database: String) -> String {
        let name = "db." + SafeName.escaping(database)
        guard !SafeName.isValid(name) else { return name }
        let digest = DatabaseNames.digest(database)
        return "\(name.prefix(80))-\(digest)"
    }
}

extension ClusterRecord {
    /// Reads what a capture kept.
    ///
    /// - Throws: `Failure(.formatTooNew)` or `.integrity`.
    init(_ value: JSONValue) throws {
        guard let format = value["format"]?.integer else {
            throw Failure(.integrity, "the bundle holds no restore data of a PostgreSQL server")
        }
        guard format == 1 else {
            throw Failure(
                .formatTooNew, "the bundle's PostgreSQL restore data is of format \(format)",
                hint: "Use a newer salvor.")
        }
        do {
            self = try JSONDecoder().decode(ClusterRecord.self, from: JSONEncoder().encode(value))
        } catch { throw Failure(.integrity, "the bundle's PostgreSQL restore data cannot be read: \(error)") }
    }

    /// The record as a value for the bundle's contents.
    var json: JSONValue {
        get throws { try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(self)) }
    }
}
