// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain
import Foundation
import Synchronization
public import Transfer

/// A repository in a bucket of AWS S3 or of a server that speaks its language.
///
/// Every object is written by one PUT, signed and checksummed with the digest the caller has already computed: the body is
/// not hashed again. Attempts whose outcome is unknown are looked into before they are repeated.
public struct S3Store: Store {
    let connection: S3Connection
    private let options: Options
    private let bucketWasSeen = BucketSeen()

    /// Whether a reply has shown that the bucket is there; a missing object is then just that.
    private final class BucketSeen: Sendable {
        let value = Atomic<Bool>(false)
    }

    /// How objects are written, and how the server is reached.
    public struct Options: Sendable {
        public var storageClass: String?
        /// How long no version of an object may be deleted. Objects under `probe/` are never locked.
        public var objectLock: (mode: String, days: Int)?
        /// Whether the key may put and nothing else: then no outcome can be looked into. An object that is in the way of a
        /// repeated conditional write is taken for the earlier attempt's, since nobody else makes objects of these names.
        public var isPutOnly = false
        public var route = HTTPRequest.Route()
        public var retry = RetryPolicy()
        public var connectSeconds = 20.0
        /// Seconds without a byte in either direction before an attempt is given up.
        public var stallSeconds = 60
        public var clock: any WallClock = SystemClock()
        /// Gives numbers from 0 to 1 for the jitter of retries.
        public var chance: @Sendable () -> Double = { Double.random(in: 0...1) }

        public init() {}
    }

    /// Objects larger than this are not read into memory; segments are about 32 MiB.
    private static let largestObject = 2 << 30

    init(_ location: S3Location, credentials: CredentialsChain, client: HTTPClient, options: Options) {
        self.options = options
        connection = S3Connection(
            location: location, client: client, credentials: credentials, route: options.route, retry: options.retry,
            stallSeconds: options.stallSeconds, connectSeconds: options.connectSeconds, clock: options.clock,
            chance: options.chance)
    }

    public var location: String { connection.location.description }

    public func put(_ key: String, _ body: [UInt8], sha256: SHA256Digest, condition: PutCondition) async throws {
        try StoreKey.check(key)
        var call = S3Connection.Call(method: "PUT", key: key, what: "writing '\(key)'")
        call.body = body
        call.payloadHash = sha256.description
        call.headers = putHeaders(key, sha256)
        if condition == .ifAbsent { call.headers.append((name: "if-none-match", value: "*")) }
        let outcome = try await connection.send(
            call, accepting: [412],
            between: {
                // An attempt may have taken effect: the bytes need not go over the line again if they are there.
                guard !options.isPutOnly else { return nil }
                return try await isStored(key, count: body.count, sha256) ? HTTPResponse(status: 200) : nil
            })
        bucketWasSeen.value.store(true, ordering: .relaxed)
        guard outcome.response.status == 412 else { return }
        // If an earlier attempt of ours took effect, the object that is in the way is our own.
        if outcome.isRepeated {
            guard !options.isPutOnly else { return }
            if try await holds(key, sha256) { return }
        }
        throw Failure(.conflict, "'\(key)' already exists in \(location)")
    }

    private func putHeaders(_ key: String, _ sha256: SHA256Digest) -> [(name: String, value: String)] {
        // Some stores take a checksum for one, as locked objects need it, only when its algorithm is named as well.
        var headers = [
            (name: "x-amz-checksum-sha256", value: Data(sha256.bytes).base64EncodedString()),
            (name: "x-amz-sdk-checksum-algorithm", value: "SHA256"),
        ]
        if let storageClass = options.storageClass {
            headers.append((name: "x-amz-storage-class", value: storageClass))
        }
        if let lock = options.objectLock, !key.hasPrefix("probe/") {
            let until = Timestamp(seconds: options.clock.now().seconds + Int64(lock.days) * 86400)
            headers.append((name: "x-amz-object-lock-mode", value: lock.mode.uppercased()))
            headers.append((name: "x-amz-object-lock-retain-until-date", value: until.description))
        }
        return headers
    }

    /// Whether the object is there with the right size and, where the store tells it, the right digest; a size alone
    /// proves nothing about an object that was there before. Not knowing counts as no: then it is sent again.
    private func isStored(_ key: String, count: Int, _ sha256: SHA256Digest) async throws -> Bool {
        var call = S3Connection.Call(method: "HEAD", key: key, what: "looking at '\(key)'")
        call.headers = [(name: "x-amz-checksum-mode", value: "ENABLED")]
        do {
            // One question only: sending again is the other way to find out.
            let credentials = try await connection.credentials.credentials()
            let response = try await connection.client.send(connection.sign(call, with: credentials))
            guard response.isSuccess, response.header("Content-Length") == String(count) else { return false }
            if let stored = Self.checksum(response) { return stored == sha256 }
            return try await holds(key, sha256)
        } catch is TransferError {
            return false
        }
    }

    /// Whether the object's bytes, read back, have this digest. A key that may not read cannot tell, which counts as no.
    private func holds(_ key: String, _ sha256: SHA256Digest) async throws -> Bool {
        do {
            return SHA256Digest.of(try await get(key, range: nil)) == sha256
        } catch is Failure {
            return false
        }
    }

    /// The digest of the whole object, where the store has kept it. A multipart object's ends in `-` and a number.
    private static func checksum(_ response: HTTPResponse) -> SHA256Digest? {
        guard let text = response.header("x-amz-checksum-sha256"), let data = Data(base64Encoded: text) else {
            return nil
        }
        return SHA256Digest(bytes: Array(data))
    }

    public func get(_ key: String, range: Range<UInt64>?) async throws -> [UInt8] {
        try StoreKey.check(key)
        if let range { return try await get(key, part: range) }
        var call = S3Connection.Call(method: "GET", key: key, what: "reading '\(key)'")
        call.maximumResponse = Self.largestObject
        call.headers = [(name: "x-amz-checksum-mode", value: "ENABLED")]
        let response = try await connection.send(call) { response in
            if let stored = Self.checksum(response), stored != SHA256Digest.of(response.body) {
                throw Failure(.storageFailed, "reading '\(key)': the bytes do not match the store's own checksum")
            }
        }.response
        return response.body
    }

    private func get(_ key: String, part range: Range<UInt64>) async throws -> [UInt8] {
        guard !range.isEmpty else {
            guard let size = try await size(of: key) else {
                throw Failure(.objectNotFound, "reading '\(key)': it is not in \(location)")
            }
            guard range.upperBound <= size else { throw ObjectFiles.tooShort(key, size: size, range: range) }
            return []
        }
        var call = S3Connection.Call(method: "GET", key: key, what: "reading a part of '\(key)'")
        call.maximumResponse = Self.largestObject
        call.headers = [(name: "range", value: "bytes=\(range.lowerBound)-\(range.upperBound - 1)")]
        let response = try await connection.send(call, accepting: [416]) { response in
            guard response.isSuccess, let part = try ContentRange(of: response) else { return }
            // A shorter part is right only if the object itself ends there, which is decided below.
            let end = min(range.upperBound, part.total)
            guard part.first == range.lowerBound, UInt64(response.body.count) == end - part.first else {
                throw Failure(
                    .storageFailed,
                    "reading a part of '\(key)': \(response.body.count) bytes came instead of \(range.count)")
            }
        }.response
        let part = try ContentRange(of: response)
        if response.isSuccess, part != nil, response.body.count == range.count { return response.body }
        if response.isSuccess, part == nil, UInt64(response.body.count) >= range.upperBound {
            // The server does not know ranges and sent everything.
            return Array(response.body[Int(range.lowerBound)..<Int(range.upperBound)])
        }
        var size = part?.total
        if size == nil { size = try await self.size(of: key) }
        throw ObjectFiles.tooShort(key, size: size ?? 0, range: range)
    }

    public func size(of key: String) async throws -> UInt64? {
        try StoreKey.check(key)
        let call = S3Connection.Call(method: "HEAD", key: key, what: "looking at '\(key)'")
        // Replies to HEAD have no body and so no reason; where it matters, a question with a reply follows.
        let response = try await connection.send(call, accepting: [301, 307, 400, 403, 404]).response
        switch response.status {
        case 404:
            try await requireBucket()
            return nil
        case 200..<300:
            bucketWasSeen.value.store(true, ordering: .relaxed)
            guard let length = response.header("Content-Length").flatMap({ UInt64($0) }) else {
                throw Failure(.storageFailed, "looking at '\(key)': the store does not tell its size")
            }
            return length
        default:
            let reason = S3Connection.Call(
                method: "GET", key: key, headers: [(name: "range", value: "bytes=0-0")],
                what: "looking at '\(key)'")
            _ = try await connection.send(reason)
            throw Failure(.storageFailed, "looking at '\(key)': status \(response.status)")
        }
    }

    /// Tells a missing bucket from a missing object, which look the same in a reply without a body.
    private func requireBucket() async throws {
        if bucketWasSeen.value.load(ordering: .relaxed) { return }
        do {
            _ = try await listPage(prefix: "", delimiter: nil, token: nil, count: 1)
        } catch let failure as Failure where failure.code == .storageDenied {
            // A key that may not list has to take the store's word.
        }
    }

    public func delete(_ key: String) async throws {
        try StoreKey.check(key)
        let call = S3Connection.Call(method: "DELETE", key: key, what: "deleting '\(key)'")
        do {
            _ = try await connection.send(call)
        } catch let failure as Failure where failure.code == .objectNotFound {
            // Some servers say so; it is what was wanted.
        }
    }

    /// Notes that the bucket answers.
    func noteBucket() { bucketWasSeen.value.store(true, ordering: .relaxed) }
}
