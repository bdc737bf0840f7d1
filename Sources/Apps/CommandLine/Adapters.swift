// SPDX-License-Identifier: Apache-2.0
import Domain
import Files
import Kubernetes
import PostgreSQL
import Redis
import SQLite

/// The one table of source adapters.
enum Adapters {
    static let all: [any SourceAdapterFactory] = [
        FilesFactory(), KubernetesFactory(), PostgreSQLFactory(), RedisAdapterFactory(), SQLiteAdapterFactory(),
    ]
}
