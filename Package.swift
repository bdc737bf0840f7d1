// swift-tools-version: 6.2
// Targets are listed ring by ring, innermost first; arrows point inwards only (docs/architecture.md,
// checked by scripts/check-layers). Keep each ring's targets sorted.
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0335-existential-any.md
    .enableUpcomingFeature("ExistentialAny"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0444-member-import-visibility.md
    .enableUpcomingFeature("MemberImportVisibility"),
    // https://github.com/swiftlang/swift-evolution/blob/main/proposals/0409-access-level-on-imports.md
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

func cLibrary(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(name: name, path: "Sources/C/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

/// C functions without a library: a header with inline shims over system calls.
func cHeader(_ name: String) -> Target {
    .systemLibrary(name: name, path: "Sources/C/\(name)")
}

func ring(
    _ folder: String, _ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/\(folder)/\(name)", resources: resources,
        swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TestSupport"], path: "Tests/\(name)", resources: resources,
        swiftSettings: swiftSettings)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let flyingFox = Target.Dependency.product(name: "FlyingFox", package: "FlyingFox")
let flyingSocks = Target.Dependency.product(name: "FlyingSocks", package: "FlyingFox")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let grdbSQLite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let xmlCoder = Target.Dependency.product(name: "XMLCoder", package: "XMLCoder")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "salvor",
    products: [.executable(name: "salvor", targets: ["salvor"])],
    dependencies: [
        .package(url: "https://github.com/CoreOffice/XMLCoder", from: "0.18.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        // C libraries: a module map and a shim each.
        cLibrary("CArchive", pkgConfig: "libarchive", apt: "libarchive-dev"),
        cLibrary("CCurl", pkgConfig: "libcurl", apt: "libcurl4-openssl-dev"),
        cLibrary("CGpgme", pkgConfig: "gpgme", apt: "libgpgme-dev"),
        cHeader("CLinux"),
        cLibrary("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),

        // Core: values, rules, ports, use cases.
        ring("Core", "ByteStreams", [crypto]),
        ring("Core", "Domain", ["ByteStreams"]),
        ring("Core", "Notifications", ["Domain"]),
        ring("Core", "Operations", ["ByteStreams", "Domain", "Notifications", "Retention", logging]),
        ring("Core", "Retention", ["Domain"]),

        // Wrappers: one C library each.
        ring("Wrappers", "Archiving", ["ByteStreams", "CArchive", "CLinux", "FileSystem"]),
        ring("Wrappers", "Compression", ["ByteStreams", "CZstd"]),
        ring("Wrappers", "Encryption", ["ByteStreams", "CGpgme", "Programs"]),
        ring("Wrappers", "FileSystem", ["ByteStreams", "CLinux"]),
        ring("Wrappers", "Programs", ["ByteStreams", "CLinux", subprocess, systemPackage]),
        ring("Wrappers", "Transfer", ["ByteStreams", "CCurl"]),

        // Adapters: what connects the ports to the world.
        ring("Adapters", "Channels", ["ByteStreams", "Domain", "Notifications", "Transfer", crypto]),
        ring("Adapters", "Discovery", ["ByteStreams", "Domain"]),
        ring(
            "Adapters", "ExportFiles",
            ["Archiving", "ByteStreams", "Compression", "Domain", "Encryption", "FileSystem", "Operations"]),
        ring("Adapters", "LocalState", ["ByteStreams", "Domain", "Notifications"]),
        ring("Adapters", "Monitoring", ["Domain", "Operations"]),
        ring(
            "Adapters", "PlanFiles", ["Domain", yams],
            // Links to the files of retention/ and manifests/plans/, so that a plan can name a policy, and a host can start
            // from a plan, wherever salvor is.
            resources: ["nightly", "seven-days-local", "gfs", "compliance-7y"].map {
                .embedInCode("Policies/\($0).yaml")
            }
                + [
                    "cassandra-janusgraph", "compose-search", "kubernetes-stack", "node-service",
                    "postgresql-generations",
                ].map { .embedInCode("Plans/\($0).yaml") }),
        ring(
            "Adapters", "Reporting", ["Domain", "Notifications", "Operations", logging, mustache],
            resources: [.embedInCode("Resources/report.mustache")]),
        ring(
            "Adapters", "Repository", ["ByteStreams", "Compression", "Domain", "Encryption", "LocalState"],
            resources: [.embedInCode("Resources/RECOVER.md"), .embedInCode("Resources/recover.sh")]),
        ring("Adapters", "Serving", ["Domain", flyingFox, flyingSocks]),
        ring("Adapters", "Stores", ["ByteStreams", "Domain", "Transfer", crypto, xmlCoder]),
        ring("Adapters", "Timers", ["Domain"]),
        ring("Adapters", "Transports", ["ByteStreams", "Domain", "Programs", systemPackage]),
        ring("Adapters/Sources", "ArangoDB", ["ByteStreams", "Domain", "WebServices"]),
        ring("Adapters/Sources", "Cassandra", ["Archiving", "ByteStreams", "Domain"]),
        ring("Adapters/Sources", "Command", ["ByteStreams", "Domain"]),
        ring("Adapters/Sources", "DataFolders", ["ByteStreams", "Domain", "FileSystem"]),
        ring("Adapters/Sources", "Etcd", ["ByteStreams", "DataFolders", "Domain"]),
        ring("Adapters/Sources", "Files", ["Archiving", "ByteStreams", "Domain", "FileSystem"]),
        ring("Adapters/Sources", "Grafana", ["ByteStreams", "Domain", "Files", "SQLite"]),
        ring("Adapters/Sources", "Kubernetes", ["ByteStreams", "Domain", yams]),
        ring("Adapters/Sources", "Logs", ["ByteStreams", "Domain", "Files"]),
        ring("Adapters/Sources", "MariaDB", ["ByteStreams", "DataFolders", "Domain"]),
        ring("Adapters/Sources", "Meilisearch", ["ByteStreams", "Domain", "WebServices"]),
        ring("Adapters/Sources", "PostgreSQL", ["ByteStreams", "DataFolders", "Domain"]),
        ring("Adapters/Sources", "Prometheus", ["ByteStreams", "DataFolders", "Domain", "Files", "Transfer"]),
        ring("Adapters/Sources", "Qdrant", ["ByteStreams", "Domain", "WebServices"]),
        ring("Adapters/Sources", "Redis", ["ByteStreams", "Domain", "Transfer"]),
        ring("Adapters/Sources", "SQLite", ["ByteStreams", "Domain", "FileSystem", grdb, grdbSQLite]),
        ring("Adapters/Sources", "Secrets", ["ByteStreams", "Domain", "Files"]),
        ring("Adapters/Sources", "Typesense", ["ByteStreams", "DataFolders", "Domain", "WebServices"]),
        ring("Adapters/Sources", "WebServices", ["ByteStreams", "Domain", "Transfer"]),

        // Apps: the composition root.
        .executableTarget(
            name: "salvor",
            dependencies: [
                "ArangoDB", "Archiving", "ByteStreams", "Cassandra", "Channels", "Command", "Compression",
                "Discovery", "Domain", "Encryption", "Etcd", "ExportFiles", "Files", "Grafana", "Kubernetes",
                "LocalState", "Logs", "MariaDB", "Meilisearch", "Monitoring", "Notifications", "Operations",
                "PlanFiles", "PostgreSQL", "Prometheus", "Qdrant", "Redis", "Reporting", "Repository", "Retention",
                "SQLite", "Secrets", "Serving", "Stores", "Timers", "Transfer", "Transports", "Typesense",
                argumentParser, logging,
            ],
            path: "Sources/Apps/CommandLine", swiftSettings: swiftSettings),

        // Tests, in the same order.
        .target(
            name: "TestSupport", dependencies: ["ByteStreams", "Domain", "Transports"], path: "Tests/TestSupport",
            exclude: ["cassandra-double"],
            swiftSettings: swiftSettings),
        tests("ByteStreamsTests", ["ByteStreams"]),
        tests("DomainTests", ["ByteStreams", "Domain"]),
        tests("RetentionTests", ["Domain", "PlanFiles", "Retention"]),
        tests("NotificationsTests", ["Domain", "Notifications", "Operations"]),
        tests("ArchivingTests", ["Archiving", "ByteStreams", "FileSystem"]),
        tests("CompressionTests", ["Compression", "ByteStreams"]),
        tests("EncryptionTests", ["Encryption", "ByteStreams"]),
        tests("TransferTests", ["Transfer", "ByteStreams"]),
        tests("ChannelsTests", ["Channels", "Domain", "LocalState", "Notifications", "Operations", "Transports"]),
        tests("LocalStateTests", ["LocalState", "Domain", "ByteStreams"]),
        tests("DiscoveryTests", ["Discovery", "Domain", "PlanFiles", "Transports"]),
        tests("PlanFilesTests", ["PlanFiles", "Domain", "Transports"]),
        tests("MonitoringTests", ["Monitoring", "Reporting", "Serving", "Domain", "Operations"]),
        tests("ReportingTests", ["Reporting", "Domain", "Operations", logging]),
        tests(
            "RepositoryTests",
            [
                "Repository", "Operations", "Compression", "Encryption", "LocalState", "Domain", "ByteStreams",
                "Notifications", "PlanFiles", "Retention", "Stores",
            ]),
        tests("StoresTests", ["Stores", "Transfer", "Domain", "ByteStreams"]),
        tests("TimersTests", ["Timers", "Domain", "PlanFiles", "Transports"]),
        tests("TransportsTests", ["Transports", "Domain", "ByteStreams"]),
        tests("CassandraTests", ["Cassandra", "Archiving", "Domain", "ByteStreams", "Files", "Transports"]),
        tests("ArangoDBTests", ["ArangoDB", "WebServices", "Domain", "ByteStreams", "Transports"]),
        tests("FilesTests", ["Files", "Archiving", "Domain", "ByteStreams", "FileSystem", "Transports"]),
        tests("MeilisearchTests", ["Meilisearch", "WebServices", "Domain", "ByteStreams", "Transports"]),
        tests("KubernetesTests", ["Kubernetes", "PlanFiles", "Domain", "ByteStreams", "Transports"]),
        tests("PostgreSQLTests", ["PostgreSQL", "Domain", "ByteStreams", "Transports"]),
        tests("WebServicesTests", ["WebServices", "Domain", "ByteStreams", "Transports"]),
        tests("QdrantTests", ["Qdrant", "WebServices", "Domain", "ByteStreams", "Transports"]),
        tests("CommandTests", ["Command", "Domain", "ByteStreams", "Transports"]),
        tests("EtcdTests", ["Etcd", "Domain", "ByteStreams", "Transports"]),
        tests("GrafanaTests", ["Grafana", "Domain", "ByteStreams", "Transports", grdb]),
        tests("LogsTests", ["Logs", "Domain", "ByteStreams", "Transports"]),
        tests("MariaDBTests", ["MariaDB", "Domain", "ByteStreams", "Transports"]),
        tests("PrometheusTests", ["Prometheus", "Domain", "ByteStreams", "Transports"]),
        tests("RedisTests", ["Redis", "Domain", "ByteStreams", "Transports"]),
        tests("SecretsTests", ["Secrets", "Domain", "ByteStreams", "Transports"]),
        tests("SQLiteTests", ["SQLite", "Domain", "ByteStreams", "Transports", grdb]),
        tests("TypesenseTests", ["Typesense", "WebServices", "Domain", "ByteStreams", "Transports"]),
        tests("CommandLineTests", ["Domain"]),
    ]
)
