// SPDX-License-Identifier: Apache-2.0
import Domain
import Files
import PostgreSQL
import Redis
import SQLite

/// The one table of source adapters.
enum Adapters {
    static let all: [any SourceAdapterFactory] = [
        FilesFactory(), PostgreSQLFactory(), RedisAdapterFactory(), SQLiteAdapterFactory(),
    ]
}
