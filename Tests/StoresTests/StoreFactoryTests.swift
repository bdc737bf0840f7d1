// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Stores
@testable import Transfer

@Suite struct StoreFactoryTests {
    @Test("Locations are read as they are meant")
    func locations() throws {
        let table: [(String, StoreLocation)] = [
            ("file:///srv/backups", .directory("/srv/backups")),
            ("/srv/backups/", .directory("/srv/backups")),
            ("/srv//with blank", .directory("/srv/with blank")),
            ("s3://acme-backups/prod", .bucket("acme-backups", prefix: "prod")),
            ("s3://acme-backups", .bucket("acme-backups", prefix: "")),
            ("s3://acme.backups/a//b/", .bucket("acme.backups", prefix: "a/b")),
        ]
        for (text, location) in table { #expect(try StoreLocation(text) == location, "\(text)") }
    }

    @Test(
        "Locations that cannot be meant are refused with the way to write them",
        arguments: [
            "", "backups", "./backups", "file://backups", "file://host/path", "/", "file:///", "/srv/../etc", "s3://",
            "s3:///prefix", "s3://a", "s3://bad bucket/x", "s3://bucket/../x", "http://host/bucket", "s3:bucket",
        ])
    func badLocations(text: String) async throws {
        let failure = await failure {
            _ = try await StoreFactory.make(RepositorySettings(store: text), secrets: LiteralSecrets())
        }
        #expect(failure?.code == .configuration)
        #expect(failure?.summary.contains("'\(text)'") == true)
        #expect(failure?.hint?.isEmpty == false)
    }

    @Test("Buckets are addressed by the endpoint's way")
    func addressing() throws {
        func url(
            _ endpoint: String?, _ addressing: S3Settings.Addressing? = nil, bucket: String = "bkt",
            region: String = "eu-west-1"
        ) throws -> String {
            let location = try S3Location(
                bucket: bucket, prefix: "pre", region: region, endpoint: endpoint, addressing: addressing)
            return location.url(path: location.path("a b/c"), query: "")
        }
        #expect(try url(nil) == "https://bkt.s3.eu-west-1.amazonaws.com/pre/a%20b/c")
        #expect(try url(nil, .path) == "https://s3.eu-west-1.amazonaws.com/bkt/pre/a%20b/c")
        #expect(try url(nil, bucket: "b.k.t") == "https://s3.eu-west-1.amazonaws.com/b.k.t/pre/a%20b/c")
        #expect(try url(nil, region: "cn-north-1") == "https://bkt.s3.cn-north-1.amazonaws.com.cn/pre/a%20b/c")
        #expect(try url("https://s3.example.com") == "https://s3.example.com/bkt/pre/a%20b/c")
        #expect(try url("https://s3.example.com:443/") == "https://s3.example.com/bkt/pre/a%20b/c")
        #expect(try url("http://s3.example.com:9000/base", .path) == "http://s3.example.com:9000/base/bkt/pre/a%20b/c")
        #expect(try url("https://s3.example.com:9000", .virtualHost) == "https://bkt.s3.example.com:9000/pre/a%20b/c")
        let bucketItself = try S3Location(
            bucket: "bkt", prefix: "", region: "r", endpoint: "https://h", addressing: .virtualHost)
        #expect(bucketItself.path(nil) == "/")
        #expect(bucketItself.description == "s3://bkt")
        for bad in ["s3.example.com", "ftp://h", "https://", "https://user@h", "https://h?x"] {
            #expect(throws: Failure.self, "\(bad)") { try url(bad) }
        }
        #expect(throws: Failure.self) { try url("https://127.0.0.1:9000", .virtualHost) }
    }

    @Test("A store made from settings works against a real server, with an upload limit, storage class and object lock")
    func realStore() async throws {
        let server = try await SeaweedFS.shared().tls
        let bucket = try server.makeBucket(objectLock: true)
        var settings = RepositorySettings(store: "s3://\(bucket)/prod")
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        settings.s3.endpoint = server.url
        settings.s3.caFile = server.caFile
        settings.s3.accessKey = SecretReference(server.accessKey, mark: mark)
        settings.s3.secretKey = SecretReference(server.secretKey, mark: mark)
        settings.s3.storageClass = "STANDARD_IA"
        settings.s3.objectLock = (mode: "governance", days: 1)
        let store = try await StoreFactory.make(settings, secrets: LiteralSecrets(), uploadLimit: 50 << 20)
        #expect(store.location == "s3://\(bucket)/prod")
        try await store.put("bundles/x", [1, 2, 3])
        #expect(try await store.get("bundles/x") == [1, 2, 3])
        // Locked: a second version may be put, but the first one cannot go.
        let s3 = try #require(store as? S3Store)
        let head = try await s3.connection.send(
            S3Connection.Call(method: "HEAD", key: "bundles/x", what: "looking")
        ).response
        #expect(head.header("x-amz-object-lock-mode") == "GOVERNANCE")
        #expect(head.header("x-amz-storage-class") == "STANDARD_IA")
        let version = try #require(head.header("x-amz-version-id"))
        let refused = await failure {
            _ = try await s3.connection.send(
                S3Connection.Call(
                    method: "DELETE", key: "bundles/x", query: [(name: "versionId", value: version)],
                    what: "deleting"))
        }
        #expect(refused?.code == .storageDenied)
        // The probe must be able to clean up.
        #expect(try await StoreProbe.run(store, rounds: 1, parallel: 2).conditionalWrites)

        settings.s3.caFile = "/no/such/ca.pem"
        let unreadable = await failure { _ = try await StoreFactory.make(settings, secrets: LiteralSecrets()) }
        #expect(unreadable?.code == .configuration)
        #expect(unreadable?.summary == "the file of certificate authorities /no/such/ca.pem cannot be read")
    }

    @Test("Retries wait longer and longer with jitter, as long as the server asks, and end")
    func retryPolicy() {
        let policy = RetryPolicy(attempts: 5, totalSeconds: 60, firstPause: 0.2, longestPause: 1)
        #expect((1...4).map { policy.pause(after: $0, elapsed: 0, asked: nil, chance: 1) } == [0.2, 0.4, 0.8, 1])
        #expect(policy.pause(after: 3, elapsed: 0, asked: nil, chance: 0) == 0)
        #expect(policy.pause(after: 1, elapsed: 0, asked: 7, chance: 0.5) == 7.1)
        #expect(policy.pause(after: 5, elapsed: 0, asked: nil, chance: 0) == nil)
        #expect(policy.pause(after: 1, elapsed: 59.9, asked: nil, chance: 1) == nil)
        #expect(policy.pause(after: 1, elapsed: 0, asked: 61, chance: 0) == nil)

        let now = Timestamp("2026-11-21T02:00:00Z") ?? Timestamp(seconds: 0)
        #expect(RetryPolicy.seconds(retryAfter: "3", now: now) == 3)
        #expect(RetryPolicy.seconds(retryAfter: "Sat, 21 Nov 2026 02:00:10 GMT", now: now) == 10)
        #expect(RetryPolicy.seconds(retryAfter: "Sat, 21 Nov 2026 01:00:00 GMT", now: now) == 0)
        for text in [nil, "soon", "-1"] { #expect(RetryPolicy.seconds(retryAfter: text, now: now) == nil) }
    }

    @Test("A server that asks for a pause gets it")
    func retryAfter() async throws {
        let server = try await SeaweedFS.shared().plain
        let bucket = try await Buckets.shared.bucket(at: server)
        let proxy = try FaultProxy(
            server, [.init(method: "PUT", effect: .answer(503, code: "SlowDown", retryAfter: "1"))])
        let store = try S3Store.under(test: proxy.endpoint, bucket: bucket, prefix: "slow")
        let clock = ContinuousClock()
        let begin = clock.now
        try await store.put("a", [1])
        #expect(clock.now - begin >= .seconds(1))
        #expect(proxy.left.isEmpty)
    }
}
