// SPDX-License-Identifier: Apache-2.0
import Cassandra
import Domain
import Files
import PostgreSQL
import Redis
import SQLite

/// The one table of source adapters.
enum Adapters {
    static let all: [any SourceAdapterFactory] = [
        CassandraFactory(), FilesFactory(), JanusGraphFactory(), PostgreSQLFactory(), RedisAdapterFactory(),
        SQLiteAdapterFactory(),
    ]
}
