// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgreSQL
import Redis

/// The one table of source adapters.
enum Adapters {
    static let all: [any SourceAdapterFactory] = [PostgreSQLFactory(), RedisAdapterFactory()]
}
