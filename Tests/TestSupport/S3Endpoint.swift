// SPDX-License-Identifier: Apache-2.0
import Foundation

/// An S3 server that tests may use, with credentials that may do everything.
public struct S3Endpoint: Sendable, CustomStringConvertible {
    /// For the names of test cases.
    public var name: String
    /// `http://host:port` or `https://host:port`.
    public var url: String
    public var accessKey: String
    public var secretKey: String
    public var region: String
    /// The authority of an `https` endpoint.
    public var caFile: String?

    public init(
        name: String, url: String, accessKey: String, secretKey: String, region: String = "us-east-1",
        caFile: String? = nil
    ) {
        self.name = name
        self.url = url
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.region = region
        self.caFile = caFile
    }

    public var description: String { name }

    /// Makes a bucket, signed by the `curl` command so that a mistake in our own signer cannot hide, and gives its name.
    @discardableResult
    public func makeBucket(
        _ name: String? = nil, objectLock: Bool = false
    ) throws -> String {
        let name = name ?? "test-\(UUID().uuidString.prefix(8).lowercased())"
        var arguments = [
            "--silent", "--show-error", "--fail-with-body", "--max-time", "30", "--request", "PUT",
            "--aws-sigv4", "aws:amz:\(region):s3", "--user", "\(accessKey):\(secretKey)",
        ]
        if let caFile { arguments += ["--cacert", caFile] }
        if objectLock { arguments += ["--header", "x-amz-bucket-object-lock-enabled: true"] }
        // The empty body's digest, which libcurl leaves out of the header.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        arguments += ["--header", "x-amz-content-sha256: \(empty)", "\(url)/\(name)"]
        try ShortCommand.run("curl", arguments)
        return name
    }
}
