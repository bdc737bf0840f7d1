// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Transports

@testable import Redis

/// A server under test with its adapter, and what a restore of it needs.
struct RedisFixture {
    let server: ThrowawayRedis
    let scratch: TemporaryDirectory
    let kept: TemporaryDirectory
    let journal = MortalJournal()

    init(
        _ flavour: ThrowawayRedis.Flavour = .redis7, password: String? = nil, certificates: TestCertificates? = nil,
        options: [String] = []
    ) throws {
        server = try ThrowawayRedis(flavour, password: password, certificates: certificates, options: options)
        scratch = try TemporaryDirectory("scratch")
        kept = try TemporaryDirectory("kept")
    }

    func adapter(
        port: Int? = nil, user: String? = nil, password: String? = nil, timeout: Int = 20,
        tls: [(String, String)]? = nil, restore: [(String, String)] = []
    ) throws -> any SourceAdapter {
        var connection = [("host", "127.0.0.1"), ("port", String(port ?? server.port))]
        if let user { connection.append(("user", user)) }
        if let secret = password ?? server.password { connection.append(("password", secret)) }
        let node = Self.mapping([
            (
                "connection",
                Self.mapping(
                    connection.map { ($0.0, Self.scalar($0.1)) }
                        + (tls.map { [("tls", Self.mapping($0.map { ($0.0, Self.scalar($0.1)) }))] } ?? []))
            ),
            ("timeout", Self.scalar(String(timeout))),
            ("restore", Self.mapping(restore.map { ($0.0, Self.scalar($0.1)) })),
        ])
        let source = SourceSettings(name: "cache", adapter: "redis", transport: .local, settings: node, mark: Self.mark)
        return try RedisAdapterFactory().make(
            AdapterEnvironment(
                source: source, transport: LocalTransport(), secrets: LiteralSecrets(), clock: SystemClock()))
    }

    static let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
    static func scalar(_ text: String) -> ConfigNode { .scalar(text, isQuoted: false, mark) }
    static func mapping(_ pairs: [(String, ConfigNode)]) -> ConfigNode {
        .mapping(pairs.map { (key: $0.0, mark: mark, value: $0.1) }, mark)
    }

    /// One copy of this server.
    func capture() async throws -> Copy {
        let sink = MemoryCapture()
        let report = try await adapter().capture(into: sink)
        return Copy(report: report, capture: sink)
    }

    struct Copy {
        var report: CaptureReport
        var capture: MemoryCapture

        var rdb: [UInt8] { capture.bytes("rdb") ?? [] }
    }

    /// What a restore of `copy` onto this server is given.
    func restore(_ copy: Copy) throws -> SourceRestore {
        guard let bundle = BundleID("20261121T020003Z-nightly-k3f9qz") else { throw MortalJournal.Killed() }
        return SourceRestore(
            restoreID: "k3f9", bundle: bundle,
            contents: Contents.Source(
                name: "cache", engine: copy.report.engine, facts: copy.report.facts,
                restoreData: copy.report.restoreData, notices: copy.report.notices, position: copy.report.position),
            streams: copy.capture.streams,
            scratchDirectory: scratch.path, keepDirectory: kept.path)
    }

    /// Stages, verifies and promotes.
    func restoreFully(_ copy: Copy, _ adapter: (any SourceAdapter)? = nil) async throws {
        let adapter = try adapter ?? self.adapter()
        let restore = try restore(copy)
        try await adapter.stage(restore, journal: journal)
        let facts = try await adapter.verify(restore, journal: journal)
        guard facts.allSatisfy(\.isEqual) else { throw Failure(.verifyFailed, "\(facts.filter { !$0.isEqual })") }
        try await adapter.promote(restore, journal: journal)
    }

    /// `db key` to the value as DUMP writes it, with the moment of its expiry.
    static func content(
        _ server: ThrowawayRedis, security: RedisSecurity? = nil
    ) async throws -> [String: [UInt8]] {
        let endpoint = RedisEndpoint(
            transport: LocalTransport(), host: "127.0.0.1", port: server.port,
            password: server.password.map { .known($0) } ?? .none, timeoutSeconds: 20, security: security)
        let connection = try await endpoint.connect()
        var result: [String: [UInt8]] = [:]
        for database in try await connection.info().databases.keys {
            _ = try await connection.command("SELECT", String(database))
            for key in try await connection.command("KEYS", "*").elements ?? [] {
                guard let name = key.text, case .bulk(var value) = try await connection.command("DUMP", name) else {
                    continue
                }
                // The order inside a hash table is each server's own; everything else is dumped byte for byte.
                if try await connection.command("OBJECT", "ENCODING", name).text == "hashtable" {
                    let read = try await connection.command("TYPE", name).text == "set" ? "SMEMBERS" : "HGETALL"
                    let members = try await connection.command(read, name)
                    let texts =
                        read == "HGETALL"
                        ? members.pairs.map { $0.key + "=" + ($0.value.text ?? "") }
                        : (members.elements ?? []).compactMap(\.text)
                    value = Array(texts.sorted().joined(separator: "\n").utf8)
                }
                var expiry = ""
                if let moment = try await connection.ifAllowed("PEXPIRETIME", name) {
                    expiry = moment.text ?? ""
                } else {
                    // Before 7.0 there is only the time that is left.
                    let left = try await connection.command("TTL", name).text ?? ""
                    expiry = Int(left).map { $0 > 0 ? "expires" : String($0) } ?? ""
                }
                result["\(database) \(name)"] = value + Array(expiry.utf8)
            }
        }
        return result
    }

    /// Fills a server with a value of every kind and encoding.
    static func fill(_ server: ThrowawayRedis, functions: Bool = true) throws {
        var lines: [String] = [
            "SET text hello", "SET number 12345", "SET negative -7",
            "SET big \"\(String(repeating: "abcdefgh", count: 40_000))\"",
        ]
        lines += ["SETBIT bits 100000 1", "PFADD visitors a b c d e", "GEOADD places 13.361389 38.115556 Palermo"]
        lines += [
            "RPUSH shortlist a b c", "SADD ints 1 2 3", "SADD words a b c", "HSET shorthash a 1 b 2",
            "ZADD shortset 1 a 2.5 b",
        ]
        lines += ["ZADD odd inf up -inf down 1e300 far"]
        for index in 0..<700 {
            lines.append("RPUSH longlist \(index)-\(String(repeating: "x", count: 40))")
            lines.append("SADD bigset member\(index)")
            lines.append("SADD bigints \(index * 100_000)")
            lines.append("HSET bighash field\(index) value\(index)")
            lines.append("ZADD bigzset \(index).5 member\(index)")
            lines.append("XADD events \(index + 1)-1 field value\(index)")
        }
        lines += ["XGROUP CREATE events readers 0", "XREADGROUP GROUP readers one COUNT 5 STREAMS events >"]
        lines += ["XACK events readers 1-1", "XGROUP CREATE events others $", "XDEL events 3-1"]
        lines += ["SET session abc PX 86400000", "SET soon x EX 3600", "PEXPIRE shorthash 7200000"]
        lines += ["SELECT 3", "SET other 1", "HSET h a 1", "EXPIRE h 86400", "SELECT 15", "SET last 1"]
        try server.cli(input: lines.joined(separator: "\n") + "\n")
        if functions {
            let filler = (0..<50).map { "-- line \($0) of a comment that compresses well" }.joined(separator: "\n")
            let code = "#!lua name=mylib\n\(filler)\nredis.register_function('one', function(keys, args) return 1 end)"
            try server.cli("FUNCTION", "LOAD", code)
        }
        try server.cli("ACL", "SETUSER", "app", "on", ">app-secret", "~app:*", "+@read", "+set")
    }
}
