// SPDX-License-Identifier: Apache-2.0

/// Something found on this host, or in what it reaches, that a plan could protect.
public struct Finding: Sendable, Codable, Equatable {
    /// How it would be reached.
    public enum Place: Sendable, Codable, Equatable {
        /// A port of this host, or a Unix socket when `host` begins with `/`.
        case host(host: String, port: Int)
        case docker(name: String)
        case podman(name: String)
        case compose(project: String, service: String)
        /// A pod by name, or by labels when its name will not stay.
        case pod(namespace: String, pod: String?, selector: String?, container: String)
        /// A file or folder of this host.
        case path(String)
    }

    /// The adapter it would take, such as `postgresql`.
    public var adapter: String
    public var place: Place
    /// What gave it away: `process postgres at 127.0.0.1:5432`, `image postgres:15`.
    public var evidence: String
    /// Whether it is only guessed, as by a port whose process cannot be looked at.
    public var isGuess: Bool

    public init(adapter: String, place: Place, evidence: String, isGuess: Bool = false) {
        self.adapter = adapter
        self.place = place
        self.evidence = evidence
        self.isGuess = isGuess
    }
}

/// What names of programs, images and ports mean.
enum KnownSystems {
    /// By the name of the process, as the kernel keeps it (at most 15 characters).
    static let processes: [String: String] = [
        "postgres": "postgresql", "postmaster": "postgresql", "redis-server": "redis", "valkey-server": "redis",
        "mariadbd": "mariadb", "mysqld": "mariadb", "etcd": "etcd", "meilisearch": "meilisearch", "qdrant": "qdrant",
        "arangod": "arangodb", "typesense-serve": "typesense", "prometheus": "prometheus", "grafana": "grafana",
        "grafana-server": "grafana",
    ]

    /// Ports that say enough: of programs that run in a Java machine, and of processes that may not be looked at.
    static let ports: [Int: String] = [
        5432: "postgresql", 6379: "redis", 3306: "mariadb", 9042: "cassandra", 7700: "meilisearch", 6333: "qdrant",
        8529: "arangodb", 2379: "etcd", 8108: "typesense",
    ]

    /// By the last part of an image's name.
    private static let images: [String: String] = [
        "postgres": "postgresql", "postgresql": "postgresql", "postgis": "postgresql", "timescaledb": "postgresql",
        "pgvector": "postgresql", "redis": "redis", "valkey": "redis", "redis-stack-server": "redis",
        "mariadb": "mariadb", "mysql": "mariadb", "meilisearch": "meilisearch", "qdrant": "qdrant",
        "arangodb": "arangodb", "arangodb-starter": "arangodb", "cassandra": "cassandra", "dse-server": "cassandra",
        "hcd": "cassandra", "janusgraph": "janusgraph", "etcd": "etcd", "prometheus": "prometheus",
        "grafana": "grafana", "grafana-oss": "grafana", "typesense": "typesense",
    ]

    /// The adapter for an image such as `HOST/library/postgres:15@sha256:…`; nil when it is none of ours.
    static func adapter(image: String) -> String? {
        let name = image.split(separator: "@").first ?? ""
        let last = name.split(separator: "/").last ?? ""
        return images[String(last.split(separator: ":").first ?? "").lowercased()]
    }
}
