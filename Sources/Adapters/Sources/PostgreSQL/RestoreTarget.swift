// SPDX-License-Identifier: Apache-2.0
import Domain

/// What a restore has to know of the server it goes to. Only reads.
struct RestoreTarget: Sendable {
    let databases: DatabaseList
    let roles: Set<String>
    let tablespaces: Set<String>
    /// Extensions whose files are installed, with their default versions.
    let extensions: [String: String]

    private struct Lists: Decodable, Sendable {
        var roles: [String]
        var tablespaces: [String]
        var extensions: [DatabaseRecord.Extension]
    }

    static func read(_ server: Server) async throws -> RestoreTarget {
        let query = """
            SELECT (SELECT jsonb_agg(rolname) FROM pg_roles) AS roles,
                (SELECT jsonb_agg(spcname) FROM pg_tablespace) AS tablespaces,
                (SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'version', default_version)), '[]'::jsonb)
                    FROM pg_available_extensions WHERE default_version IS NOT NULL) AS extensions
            """
        guard let lists = try await server.rows(Lists.self, query).first else {
            throw Failure(.sourceUnreachable, "the target does not list its roles")
        }
        return RestoreTarget(
            databases: try await DatabaseList.read(server), roles: Set(lists.roles),
            tablespaces: Set(lists.tablespaces),
            extensions: Dictionary(lists.extensions.map { ($0.name, $0.version) }) { first, _ in first })
    }
}
