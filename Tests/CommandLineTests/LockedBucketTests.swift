// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What `init` says of a bucket's object lock before anything relies on it.
@Suite("Object lock when a repository is made")
struct LockedBucketTests {
    @Test("a lock that outlives the policy is told; a bucket that does not lock what the plan wants locked is refused")
    func lock() async throws {
        let server = try await SeaweedFS.shared().plain
        func repository(_ bucket: String, _ lock: String) -> String {
            """
            {store: "s3://\(bucket)/prod", s3: {endpoint: "\(server.url)", region: \(server.region), addressing: path, \(lock)\
            credentials: {access-key: env:SITE_KEY, secret-key: env:SITE_SECRET}}}
            """
        }
        let plain = repository(try server.makeBucket(), "")
        let site = try await Site.make(
            sources: "- {name: config, adapter: files, paths: [$DIR/etc]}", repository: plain,
            encryption: "retention: {daily: 7, minimum-good: 1}",
            environment: ["SITE_KEY": server.accessKey, "SITE_SECRET": server.secretKey])
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        func initialize(_ bucket: String, days: Int) async throws -> SalvorProcess.Outcome {
            let other = repository(bucket, "object-lock: {mode: governance, days: \(days)}, ")
            try site.folder.write("plan.yaml", plan.replacingOccurrences(of: plain, with: other))
            return try await site.host.run(["init"])
        }
        let long = try await initialize(try server.makeBucket(objectLock: true), days: 40)
        #expect(long.status == 0, "\(long.errors)")
        #expect(
            long.output.contains("warning: object lock: 40 days, while the policy lets bundles go after 7"),
            "\(long.output)")
        let short = try await initialize(try server.makeBucket(objectLock: true), days: 5)
        #expect(short.status == 0 && short.output.contains("warning: object lock of bases: "), "\(short.output)")
        #expect(!short.output.contains("warning: object lock: "), "\(short.output)")

        let bucket = try server.makeBucket()
        let refused = try await initialize(bucket, days: 40)
        #expect(refused.status == 2, "\(refused.output)\(refused.errors)")
        #expect(refused.errors.contains("object lock of the bucket: it is off"), "\(refused.errors)")
        // Nothing was made: without the lock the bucket is as good as new.
        try site.folder.write("plan.yaml", plan.replacingOccurrences(of: plain, with: repository(bucket, "")))
        try await site.ok(["init"])
    }
}
