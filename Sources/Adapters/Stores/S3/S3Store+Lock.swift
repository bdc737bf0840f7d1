// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Transfer
import XMLCoder

/// Object lock: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
extension S3Store {
    /// What the reply to HEAD tells, or, where that is silent, the retention asked for by itself: a store tells either only
    /// to a key that may know (`s3:GetObjectRetention`), and some tell only one.
    public func retention(of key: String) async throws -> ObjectRetention? {
        try StoreKey.check(key)
        let head = S3Connection.Call(method: "HEAD", key: key, what: "looking at '\(key)'")
        let response = try await connection.send(head, accepting: Self.refusals).response
        if response.status == 404 { return nil }
        if response.isSuccess {
            let held = response.header("x-amz-object-lock-legal-hold")?.uppercased() == "ON"
            let until = response.header("x-amz-object-lock-retain-until-date").flatMap(Self.moment)
            if held || until != nil { return ObjectRetention(until: until, isHeld: held) }
        }
        let asked = S3Connection.Call(
            method: "GET", key: key, query: [(name: "retention", value: "")],
            what: "asking how long '\(key)' is retained")
        let reply = try await connection.send(asked, accepting: Self.refusals).response
        // Anything but an answer says that nothing is known: no lock, no right to know, or no such question.
        guard reply.isSuccess,
            let document = try? XMLDecoder.capitalized.decode(Retention.self, from: Data(reply.body)),
            let until = document.retainUntilDate.flatMap(Self.moment)
        else { return nil }
        return ObjectRetention(until: until)
    }

    public func bucketLock() async throws -> BucketLock? {
        let call = S3Connection.Call(
            method: "GET", key: nil, query: [(name: "object-lock", value: "")],
            what: "asking whether the bucket has object lock")
        let reply = try await connection.send(call, accepting: Self.refusals).response
        guard reply.isSuccess else {
            let error = ErrorReply(reply)
            if error.code == "ObjectLockConfigurationNotFoundError" { return .off }
            return .unknown(
                reply.status == 403
                    ? "the key may not ask (s3:GetBucketObjectLockConfiguration)" : "the store answers \(error.words)")
        }
        // A body that is something else is no answer.
        guard let document = try? XMLDecoder.capitalized.decode(Configuration.self, from: Data(reply.body)) else {
            return .unknown("the store's answer cannot be read")
        }
        guard document.objectLockEnabled == "Enabled" else { return .off }
        let rule = document.rule?.defaultRetention
        return .on(mode: rule?.mode?.lowercased(), days: rule?.days ?? rule?.years.map { $0 * 365 })
    }

    /// Replies that are answers here, each in its way.
    private static let refusals: Set<Int> = [400, 403, 404, 405, 501]

    /// Stores write fractions of seconds or none; a lock is told late rather than early.
    static func moment(_ text: String) -> Timestamp? {
        let bare = text.hasSuffix("+00:00") ? text.dropLast(6) + "Z" : text[...]
        guard let dot = bare.firstIndex(of: "."), bare.hasSuffix("Z") else { return Timestamp(String(bare)) }
        let digits = bare[bare.index(after: dot)...].dropLast()
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
            let whole = Timestamp("\(bare[..<dot])Z")
        else { return nil }
        return digits.utf8.allSatisfy { $0 == 48 } ? whole : Timestamp(seconds: whole.seconds + 1)
    }

    private struct Retention: Decodable {
        var retainUntilDate: String?
    }

    private struct Configuration: Decodable {
        var objectLockEnabled: String?
        var rule: Rule?

        struct Rule: Decodable {
            var defaultRetention: Default?
        }

        struct Default: Decodable {
            var mode: String?
            var days: Int?
            var years: Int?
        }
    }
}
