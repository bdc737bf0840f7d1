// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Stores

@Suite struct S3FailureTests {
    private static let key = "some/object"

    /// Every operation must end in the same failure: the first one that somebody runs into must explain it.
    private func expect(
        _ code: Failure.Code, _ text: String, from store: any Store, sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        let operations: [(String, () async throws -> Void)] = [
            ("put", { try await store.put(Self.key, [1]) }), ("get", { _ = try await store.get(Self.key) }),
            ("size", { _ = try await store.size(of: Self.key) }), ("list", { _ = try await store.list("") }),
            ("folders", { _ = try await store.folders(under: "") }),
            ("delete", { try await store.delete(Self.key) }),
        ]
        for (name, operation) in operations {
            let failure = await failure(of: operation, sourceLocation: sourceLocation)
            #expect(failure?.code == code, "\(name): \(failure?.summary ?? "")", sourceLocation: sourceLocation)
            #expect(
                failure?.summary.contains(text) == true, "\(name): \(failure?.summary ?? "")",
                sourceLocation: sourceLocation)
            #expect(failure?.hint?.isEmpty == false, "\(name) has no hint", sourceLocation: sourceLocation)
            #expect(failure?.summary.contains("wrong-secret-text") == false, sourceLocation: sourceLocation)
        }
    }

    @Test("A wrong secret, an unknown key, a missing bucket and a wrong clock are told apart, by every operation")
    func access() async throws {
        let server = try await SeaweedFS.shared().plain
        let bucket = try await Buckets.shared.bucket(at: server)

        var wrong = server
        wrong.secretKey = "wrong-secret-text"
        await expect(
            .storageWrongSecret,
            "\(server.url) refuses the signature of access key AKTEST: the secret key is wrong",
            from: try S3Store.under(test: wrong, bucket: bucket, prefix: "x"))

        wrong = server
        wrong.accessKey = "AKUNKNOWN"
        await expect(
            .storageDenied, "\(server.url) does not know the access key AKUNKNOWN",
            from: try S3Store.under(test: wrong, bucket: bucket, prefix: "x"))

        let fast = try S3Store.under(test: server, bucket: bucket, prefix: "x", clock: ShiftedClock(seconds: 20 * 60))
        await expect(.storageClockSkew, "clock is wrong: it is 20 minutes ahead of the store's", from: fast)
        let slow = try S3Store.under(test: server, bucket: bucket, prefix: "x", clock: ShiftedClock(seconds: -3600))
        await expect(.storageClockSkew, "clock is wrong: it is 60 minutes behind the store's", from: slow)
    }

    @Test("The store tells its own time, whatever this host's clock says within the store's tolerance")
    func time() async throws {
        let server = try await SeaweedFS.shared().plain
        let bucket = try await Buckets.shared.bucket(at: server)
        let fast = try S3Store.under(test: server, bucket: bucket, prefix: "x", clock: ShiftedClock(seconds: 10 * 60))
        let time = try #require(try await fast.time())
        #expect(abs(time.seconds - SystemClock().now().seconds) < 30, "\(time)")
    }

    @Test("A missing bucket is not an empty repository")
    func missingBucket() async throws {
        let server = try await SeaweedFS.shared().plain
        let text = "bucket 'no-such-bucket' does not exist at \(server.url)"
        let store = try S3Store.under(test: server, bucket: "no-such-bucket", prefix: "x")
        let operations: [() async throws -> Void] = [
            { try await store.put("a", [1]) }, { _ = try await store.get("a") }, { _ = try await store.size(of: "a") },
            { _ = try await store.list("") }, { _ = try await store.folders(under: "") },
        ]
        for operation in operations {
            let failure = await failure(of: operation)
            #expect(failure?.code == .storageNoBucket, "\(failure?.summary ?? "")")
            #expect(failure?.summary == text)
        }
    }

    @Test("A key that may only read is told what it may not do")
    func readOnlyKey() async throws {
        let weed = try await SeaweedFS.shared()
        var reader = weed.plain
        (reader.accessKey, reader.secretKey) = weed.readOnly
        let bucket = try await Buckets.shared.bucket(at: weed.plain)
        let prefix = "readonly/\(UUID().uuidString)"
        try await S3Store.under(test: weed.plain, bucket: bucket, prefix: prefix).put("a", [7])
        let store = try S3Store.under(test: reader, bucket: bucket, prefix: prefix)
        #expect(try await store.get("a") == [7])
        let failure = await failure { try await store.put("b", [1]) }
        #expect(failure?.code == .storageDenied)
        #expect(failure?.summary.contains("access key AKREADONLY may not do this") == true)
        #expect(failure?.summary.contains("writing 'b': AccessDenied") == true)
    }

    @Test("An authority that is not trusted and a port nobody listens on are told apart, by every operation")
    func connections() async throws {
        var server = try await SeaweedFS.shared().tls
        server.caFile = nil
        await expect(
            .storageTLS, "no trusted connection to \(server.url)",
            from: try S3Store.under(test: server, bucket: "bucket", prefix: ""))
        let port = try LoopbackSocket.freePorts(1)[0]
        server.url = "http://127.0.0.1:\(port)"
        await expect(
            .storageUnreachable, "http://127.0.0.1:\(port) cannot be reached",
            from: try S3Store.under(test: server, bucket: "bucket", prefix: "") { $0.retry.attempts = 2 })
    }

    /// A store whose server always replies the same.
    private func replying(
        _ status: Int, _ headers: [(String, String)] = [], _ body: String
    ) throws -> (store: S3Store, server: HTTPDouble) {
        let server = try HTTPDouble { _ in .response(status, headers: headers, body: Array(body.utf8)) }
        let endpoint = S3Endpoint(name: "double", url: server.url, accessKey: "AK", secretKey: "SK")
        return (try S3Store.under(test: endpoint, bucket: "bucket", prefix: "") { $0.retry.attempts = 2 }, server)
    }

    @Test("A bucket in another region is named with its region")
    func wrongRegion() async throws {
        let redirect = "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>"
        var (store, server) = try replying(301, [("x-amz-bucket-region", "eu-west-1")], redirect)
        await expect(.configuration, "bucket 'bucket' is in region eu-west-1, not us-east-1", from: store)
        let malformed = """
            <Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message><Region>eu-central-1</Region></Error>
            """
        (store, server) = try replying(400, [], malformed)
        await expect(.configuration, "bucket 'bucket' is in region eu-central-1, not us-east-1", from: store)
        (store, server) = try replying(307, [("Location", "https://other.example/bucket")], "")
        await expect(.configuration, "elsewhere (to https://other.example/bucket)", from: store)
        withExtendedLifetime(server) {}
    }

    /// A listing that must not be believed.
    struct BadListing: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var pages: [String]
        var text: String
    }

    static let badListings = [
        BadListing(
            testDescription: "the same token again", pages: [page(["a"], next: "t"), page(["b"], next: "t")],
            text: "goes round in circles"),
        BadListing(
            testDescription: "the same keys again", pages: [page(["a", "b"], next: "t"), page(["b", "c"])],
            text: "repeats itself at 'b'"),
        BadListing(
            testDescription: "keys in disorder", pages: [page(["c"], next: "t"), page(["a"])],
            text: "out of order or repeats itself at 'a'"),
        BadListing(
            testDescription: "truncated without a token",
            pages: ["<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"],
            text: "does not say where"),
        BadListing(
            testDescription: "fewer keys than counted",
            pages: [
                "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>1</KeyCount></ListBucketResult>"
            ], text: "has 0 entries instead of 1"),
        BadListing(
            testDescription: "neither truncated nor not", pages: ["<ListBucketResult></ListBucketResult>"],
            text: "is not a listing"),
        BadListing(
            testDescription: "a web page", pages: ["<html><body>Please log in</body></html>"], text: "is not a listing"),
        BadListing(testDescription: "no document", pages: ["hello"], text: "cannot be read"),
        BadListing(testDescription: "a key outside", pages: [page(["../b"], prefix: "z")], text: "which is elsewhere"),
    ]

    private static func page(_ keys: [String], next: String? = nil, prefix: String = "") -> String {
        let contents = keys.map { "<Contents><Key>\(prefix)\($0)</Key><Size>1</Size></Contents>" }.joined()
        let token = next.map { "<NextContinuationToken>\($0)</NextContinuationToken>" } ?? ""
        return """
            <?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\
            <IsTruncated>\(next != nil)</IsTruncated>\(contents)\(token)</ListBucketResult>
            """
    }

    @Test("A listing that contradicts itself is refused", arguments: badListings)
    func listings(_ bad: BadListing) async throws {
        let pages = bad.pages
        let server = try HTTPDouble { request in
            let number = request.target.contains("continuation-token") ? 1 : 0
            return .response(200, body: Array(pages[min(number, pages.count - 1)].utf8))
        }
        let endpoint = S3Endpoint(name: "double", url: server.url, accessKey: "AK", secretKey: "SK")
        let prefix = bad.testDescription == "a key outside" ? "y" : ""
        let store = try S3Store.under(test: endpoint, bucket: "bucket", prefix: prefix) { $0.retry.attempts = 2 }
        let failure = await failure { _ = try await store.list("") }
        #expect(failure?.code == .storageFailed)
        #expect(failure?.summary.contains(bad.text) == true, "\(failure?.summary ?? "")")
    }
}
