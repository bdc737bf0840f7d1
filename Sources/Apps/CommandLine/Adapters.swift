// SPDX-License-Identifier: Apache-2.0
import Command
import Domain
import Etcd
import Files
import Grafana
import Logs
import MariaDB
import PostgreSQL
import Prometheus
import Redis
import SQLite
import Secrets

/// The one table of source adapters.
enum Adapters {
    static let all: [any SourceAdapterFactory] = [
        CommandFactory(), EtcdFactory(), FilesFactory(), GrafanaFactory(), LogsFactory(), MariaDBFactory(),
        PostgreSQLFactory(), PrometheusFactory(), RedisAdapterFactory(), SQLiteAdapterFactory(), SecretsFactory(),
    ]
}
