// SPDX-License-Identifier: Apache-2.0
import ArangoDB
import Cassandra
import Domain
import Files
import Kubernetes
import Meilisearch
import PostgreSQL
import Qdrant
import Redis
import SQLite
import Typesense

/// The one table of source adapters.
enum Adapters {
    static let all: [any SourceAdapterFactory] = [
        ArangoFactory(), CassandraFactory(), FilesFactory(), JanusGraphFactory(), KubernetesFactory(),
        MeilisearchFactory(), PostgreSQLFactory(), QdrantFactory(), RedisAdapterFactory(), SQLiteAdapterFactory(),
        TypesenseFactory(),
    ]
}
