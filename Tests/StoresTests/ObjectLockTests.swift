// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Stores

@Suite("Object lock, as the store tells")
struct ObjectLockTests {
    /// The server of every test run, or the one that scripts/test-stores has started if that one locks objects.
    private static var endpoint: S3Endpoint? {
        get async throws {
            guard let outside = StoreUnderTest.outside else { return try await SeaweedFS.shared().plain }
            return ProcessInfo.processInfo.environment["SALVOR_TEST_S3_LOCK"] == "yes" ? outside : nil
        }
    }

    private func send(
        _ store: S3Store, _ method: String, _ key: String?, _ query: String, _ body: String
    ) async throws {
        let bytes = Array(body.utf8)
        var call = S3Connection.Call(
            method: method, key: key, query: [(name: query, value: "")], what: "preparing the test")
        call.body = bytes
        let digest = SHA256Digest.of(bytes)
        call.payloadHash = digest.description
        call.headers = [(name: "x-amz-checksum-sha256", value: Data(digest.bytes).base64EncodedString())]
        _ = try await store.connection.send(call)
    }

    @Test("a locked object says until when, also by a legal hold; the store's own objects of the probe are not locked")
    func retention() async throws {
        guard let endpoint = try await Self.endpoint else { return }
        let bucket = try endpoint.makeBucket(objectLock: true)
        let store = try S3Store.under(test: endpoint, bucket: bucket, prefix: "p") {
            $0.objectLock = (mode: "governance", days: 2)
        }
        let before = SystemClock().now().seconds
        try await store.put("bundles/x", [1])
        try await store.put("probe/x", [1])
        let lock = try #require(try await store.retention(of: "bundles/x"))
        let until = try #require(lock.until)
        #expect((before + 2 * 86400...before + 2 * 86400 + 60).contains(until.seconds), "\(until)")
        #expect(lock.isLocked(at: SystemClock().now()) && !lock.isHeld)
        #expect(!lock.isLocked(at: Timestamp(seconds: until.seconds + 1)))
        #expect(lock.text == "retained until \(until)")
        #expect(try await store.retention(of: "probe/x") == nil)
        #expect(try await store.retention(of: "missing") == nil)

        try await send(store, "PUT", "bundles/x", "legal-hold", "<LegalHold><Status>ON</Status></LegalHold>")
        let held = try #require(try await store.retention(of: "bundles/x"))
        #expect(held.isHeld && held.isLocked(at: Timestamp(seconds: until.seconds + 1)))
        #expect(held.text.contains("legal hold"))
        try await send(store, "PUT", "bundles/x", "legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>")
        #expect(try await store.retention(of: "bundles/x")?.isHeld == false)
    }

    @Test("a bucket says whether it locks objects, and by which rule of its own")
    func bucket() async throws {
        guard let endpoint = try await Self.endpoint else { return }
        let plain = try S3Store.under(test: endpoint, bucket: try endpoint.makeBucket(), prefix: "p")
        #expect(try await plain.bucketLock() == .off)
        #expect(try await plain.retention(of: "missing") == nil)
        try await plain.put("there", [1])
        #expect(try await plain.retention(of: "there") == nil)
        let locking = try S3Store.under(test: endpoint, bucket: try endpoint.makeBucket(objectLock: true), prefix: "p")
        #expect(try await locking.bucketLock() == .on(mode: nil, days: nil))
        try await send(
            locking, "PUT", nil, "object-lock",
            """
            <ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ObjectLockEnabled>Enabled\
            </ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>35</Days></DefaultRetention></Rule>\
            </ObjectLockConfiguration>
            """)
        #expect(try await locking.bucketLock() == .on(mode: "governance", days: 35))
        try await locking.put("by-rule", [1])
        #expect(try await locking.retention(of: "by-rule")?.until != nil, "the bucket's own rule is told, too")
    }

    /// A server whose key may not know everything.
    private func double(
        head: [(String, String)], retention: (Int, String), lock: (Int, String) = (403, "")
    ) throws -> (HTTPDouble, S3Store) {
        let server = try HTTPDouble { request in
            if request.target.contains("object-lock") { return .response(lock.0, body: Array(lock.1.utf8)) }
            if request.target.contains("retention") { return .response(retention.0, body: Array(retention.1.utf8)) }
            return .response(200, headers: head + [("Content-Length", "3")])
        }
        let endpoint = S3Endpoint(name: "double", url: server.url, accessKey: "A", secretKey: "S")
        return (server, try S3Store.under(test: endpoint, bucket: "b", prefix: "p"))
    }

    @Test("without the right to know, by the object or by the question of its own, nothing is known, and nothing fails")
    func rights() async throws {
        let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        let (first, silent) = try double(head: [], retention: (403, denied), lock: (403, denied))
        #expect(try await silent.retention(of: "x") == nil)
        guard case .unknown(let reason) = try await silent.bucketLock() else {
            Issue.record("a denied question was answered")
            return
        }
        #expect(reason.contains("s3:GetBucketObjectLockConfiguration"))
        let (second, asked) = try double(
            head: [],
            retention: (
                200,
                "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2027-01-02T03:04:05.678Z</RetainUntilDate></Retention>"
            ), lock: (404, "<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>"))
        #expect(try await asked.retention(of: "x")?.until == Timestamp("2027-01-02T03:04:06Z"))
        #expect(try await asked.bucketLock() == .off)
        let (server, told) = try double(
            head: [("x-amz-object-lock-retain-until-date", "2027-01-02T03:04:05Z")], retention: (500, ""))
        #expect(try await told.retention(of: "x")?.until == Timestamp("2027-01-02T03:04:05Z"))
        #expect(server.requests.count == 1, "what HEAD tells is not asked again")
        let (third, strange) = try double(head: [], retention: (501, "<html>"), lock: (200, "<html>"))
        #expect(try await strange.retention(of: "x") == nil)
        #expect(try await strange.bucketLock() == .unknown("the store's answer cannot be read"))
        withExtendedLifetime([first, second, third]) {}
    }

    @Test(
        "moments of a lock are read as stores write them",
        arguments: [
            ("2027-01-02T03:04:05Z", "2027-01-02T03:04:05Z"), ("2027-01-02T03:04:05.000Z", "2027-01-02T03:04:05Z"),
            ("2027-01-02T03:04:05.000001Z", "2027-01-02T03:04:06Z"),
            ("2027-01-02T03:04:05+00:00", "2027-01-02T03:04:05Z"), ("tomorrow", nil), ("2027-01-02T03:04:05.Z", nil),
        ] as [(String, String?)])
    func moments(_ text: String, _ expected: String?) {
        #expect(S3Store.moment(text) == expected.flatMap { Timestamp($0) })
    }
}
