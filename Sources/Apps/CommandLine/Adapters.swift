// SPDX-License-Identifier: Apache-2.0
import Domain
import Files
import PostgreSQL
import Redis

/// The one table of source adapters.
enum Adapters {
    static let all: [any SourceAdapterFactory] = [FilesFactory(), PostgreSQLFactory(), RedisAdapterFactory()]
}
