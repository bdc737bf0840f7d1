// SPDX-License-Identifier: Apache-2.0
import ArangoDB
import Cassandra
import Command
import Domain
import Etcd
import Files
import Grafana
import Kubernetes
import Logs
import MariaDB
import Meilisearch
import PostgreSQL
import Prometheus
import Qdrant
import Redis
import SQLite
import Secrets
import Typesense

/// The one table of source adapters.
enum Adapters {
    static let all: [any SourceAdapterFactory] = [
        ArangoFactory(), CassandraFactory(), CommandFactory(), EtcdFactory(), FilesFactory(), GrafanaFactory(),
        JanusGraphFactory(), KubernetesFactory(), LogsFactory(), MariaDBFactory(), MeilisearchFactory(),
        PostgreSQLFactory(), PrometheusFactory(), QdrantFactory(), RedisAdapterFactory(), SQLiteAdapterFactory(),
        SecretsFactory(), TypesenseFactory(),
    ]
}
