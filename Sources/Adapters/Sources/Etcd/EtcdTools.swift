// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// The programs of etcd, and what they say in JSON. Everything that tells the client where and as whom goes through its
/// environment, the password among it.
struct EtcdTools: Sendable {
    /// One member, as `endpoint status` tells it.
    struct Status: Decodable, Sendable {
        struct Header: Decodable, Sendable {
            var cluster: UInt64
            var member: UInt64
            var revision: Int64?

            enum CodingKeys: String, CodingKey {
                case cluster = "cluster_id"
                case member = "member_id"
                case revision
            }
        }

        struct Body: Decodable, Sendable {
            var header: Header
            var version: String
            var dbSize: UInt64?
            var leader: UInt64?
        }

        var body: Body

        enum CodingKeys: String, CodingKey { case body = "Status" }
    }

    /// One member of the cluster.
    struct Member: Codable, Sendable, Equatable {
        var id: String
        var name: String
        var peerURLs: [String]
    }

    /// A snapshot, as `snapshot status` tells it.
    struct Snapshot: Decodable, Sendable {
        var hash: UInt64
        var revision: Int64
        var totalKey: Int64
        var totalSize: UInt64
    }

    let transport: any Transport
    let settings: EtcdSettings
    let password: String?
    /// `http://127.0.0.1:PORT` of a throw-away member instead of the live one.
    var scratchEndpoint: String?

    func path(_ name: String) -> String { settings.programs.map { "\($0)/\(name)" } ?? name }

    private var environment: [String: String] {
        var variables = ["ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": scratchEndpoint ?? settings.endpoint, "LC_ALL": "C"]
        if let user = settings.user, let password { variables["ETCDCTL_USER"] = "\(user):\(password)" }
        guard scratchEndpoint == nil else { return variables }
        if let file = settings.authorityFile { variables["ETCDCTL_CACERT"] = file }
        if let file = settings.certificateFile { variables["ETCDCTL_CERT"] = file }
        if let file = settings.keyFile { variables["ETCDCTL_KEY"] = file }
        return variables
    }

    /// A command of the client.
    func client(_ arguments: [String]) -> Program { Program(path("etcdctl"), arguments, environment: environment) }

    /// The program that works on files: etcdutl, and before 3.5 the client itself.
    func fileProgram() async throws -> String {
        for name in ["etcdutl", "etcdctl"] {
            do {
                _ = try await transport.outputAndExit(
                    of: Program(path(name), ["version"], environment: ["ETCDCTL_API": "3"]), limit: 64 << 10)
                return path(name)
            } catch let error as Failure where error.code == .programMissing { continue }
        }
        throw Failure(
            .programMissing, "the program 'etcdctl' is missing",
            hint: "Install etcd's client beside the member, or name its folder in 'programs'.")
    }

    /// Runs a command of the client.
    func run(_ arguments: [String], about object: String? = nil) async throws -> [UInt8] {
        let program = client(arguments)
        let (output, exit) = try await transport.outputAndExit(of: program)
        guard exit.isSuccess else { throw failure(exit, object ?? arguments.prefix(2).joined(separator: " ")) }
        return output
    }

    func decoded<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8], _ object: String) throws -> Value {
        do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch {
            throw Failure(.sourceFailed, "etcdctl answered something else than expected to '\(object)'")
        }
    }

    func status() async throws -> Status.Body {
        let bytes = try await run(["endpoint", "status", "--write-out=json"])
        guard let status = try decoded([Status].self, bytes, "endpoint status").first?.body else {
            throw Failure(.sourceUnreachable, "no status of \(settings.endpoint)")
        }
        return status
    }

    func members() async throws -> [Member] {
        struct Listed: Decodable {
            struct One: Decodable {
                var number: UInt64
                var name: String?
                var peerURLs: [String]?

                enum CodingKeys: String, CodingKey {
                    case number = "ID"
                    case name, peerURLs
                }
            }
            var members: [One]?
        }
        let listed = try decoded(Listed.self, try await run(["member", "list", "--write-out=json"]), "member list")
        return (listed.members ?? []).map {
            Member(id: String($0.number, radix: 16), name: $0.name ?? "", peerURLs: $0.peerURLs ?? [])
        }.sorted { $0.name < $1.name }
    }

    /// Keys at a revision.
    func keys(at revision: Int64) async throws -> Int64 {
        struct Counted: Decodable { var count: Int64? }
        // The answer to a limited question tells how many there are in all; 3.4 cannot be asked for the count alone.
        let bytes = try await run([
            "get", "", "--from-key", "--limit=1", "--keys-only", "--rev=\(revision)", "--write-out=json",
        ])
        return try decoded(Counted.self, bytes, "get").count ?? 0
    }

    /// A hash over all keys and values up to a revision, since the last compaction.
    func hash(at revision: Int64) async throws -> String {
        struct Hashed: Decodable {
            struct Body: Decodable {
                var hash: UInt64?
                var compacted: Int64?

                enum CodingKeys: String, CodingKey {
                    case hash
                    case compacted = "compact_revision"
                }
            }

            var body: Body

            enum CodingKeys: String, CodingKey { case body = "HashKV" }
        }
        let bytes = try await run(["endpoint", "hashkv", "--rev=\(revision)", "--write-out=json"])
        guard let body = try decoded([Hashed].self, bytes, "endpoint hashkv").first?.body else {
            throw Failure(.sourceFailed, "no hash of the keys of \(settings.endpoint)")
        }
        return "\(body.hash ?? 0) since \(body.compacted ?? 0)"
    }

    func snapshot(_ file: String, with program: String) async throws -> Snapshot {
        let status = Program(
            program, ["snapshot", "status", file, "--write-out=json"], environment: ["ETCDCTL_API": "3"])
        let (bytes, exit) = try await transport.outputAndExit(of: status)
        guard exit.isSuccess else { throw failure(exit, "snapshot status") }
        return try decoded(Snapshot.self, bytes, "snapshot status")
    }

    /// What a program's end amounts to, by its words.
    func failure(_ exit: ProgramExit, _ object: String) -> Failure {
        var words = exit.lastWords
        if let password, password.count >= 4 {
            words = words.components(separatedBy: password).joined(separator: "<redacted>")
        }
        let place = scratchEndpoint ?? settings.endpoint
        let summary = "etcdctl \(object) failed for \(place) (\(exit.status)): \(words)"
        let text = exit.standardError
        if [
            "authentication failed", "invalid auth token", "user name is empty", "bad certificate",
            "certificate required",
        ]
        .contains(where: text.contains) {
            return Failure(.sourceDenied, summary, hint: "Check user, password and 'tls' in the plan's 'connection'.")
        }
        if text.contains("permission denied") {
            return Failure(
                .sourceDenied, summary,
                hint: "A snapshot needs the role root: etcdctl user grant-role \(settings.user ?? "USER") root.")
        }
        if text.contains("no space left on device") {
            return Failure(.localSpace, summary, hint: "Free space beside the member, or set 'temporary-directory'.")
        }
        if ["context deadline exceeded", "connection refused", "transport", "EOF", "unavailable"].contains(where: {
            text.contains($0)
        }) {
            return Failure(.sourceUnreachable, summary, hint: "Is the member up, and is 'connection.endpoint' right?")
        }
        return Failure(.sourceFailed, summary)
    }
}
