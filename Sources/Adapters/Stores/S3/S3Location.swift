// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// A bucket, a prefix in it and the server that has it: everything that makes a key into a URL.
struct S3Location: Sendable {
    let bucket: String
    /// Empty, or ending in a slash.
    let prefix: String
    let region: String
    /// `https` or `http`.
    private let scheme: String
    /// What goes into `Host`: the name, and the port unless it is the scheme's own.
    private let authority: String
    /// The endpoint's own path, empty for most.
    private let basePath: String
    let addressing: S3Settings.Addressing
    /// Whether the endpoint is AWS's own.
    let isAWS: Bool

    /// Throws a `configuration` failure for an endpoint or bucket that cannot work.
    init(
        bucket: String, prefix: String, region: String, endpoint: String?, addressing: S3Settings.Addressing?
    ) throws {
        self.bucket = bucket
        self.prefix = prefix.isEmpty || prefix.hasSuffix("/") ? prefix : prefix + "/"
        self.region = region
        isAWS = endpoint == nil
        let text = endpoint ?? "https://s3.\(region).\(Self.domain(of: region))"
        guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
            ["http", "https"].contains(scheme), let host = parts.host, !host.isEmpty, parts.user == nil,
            parts.query == nil, parts.fragment == nil
        else {
            throw Failure(
                .configuration, "'\(text)' is not an S3 endpoint",
                hint: "Write repository.s3.endpoint as https://host or https://host:port.")
        }
        self.scheme = scheme
        let standard = scheme == "https" ? 443 : 80
        authority = host + (parts.port.flatMap { $0 == standard ? nil : ":\($0)" } ?? "")
        basePath = parts.path.hasSuffix("/") ? String(parts.path.dropLast()) : parts.path
        // A certificate for *.s3.… does not cover names with dots in the bucket's place.
        self.addressing = addressing ?? (isAWS && !bucket.contains(".") ? .virtualHost : .path)
        guard self.addressing == .path || !Self.isAddress(host) else {
            throw Failure(
                .configuration, "a bucket cannot be put before the address \(host)",
                hint: "Set repository.s3.addressing to path, or name the endpoint.")
        }
    }

    /// The location for people, without secrets.
    var description: String { "s3://\(bucket)\(prefix.isEmpty ? "" : "/\(prefix.dropLast())")" }

    /// The endpoint for people.
    var endpoint: String { "\(scheme)://\(authority)" }

    /// What goes into the `Host` field of each request.
    var host: String { addressing == .path ? authority : "\(bucket).\(authority)" }

    /// The raw path of an object; of the bucket itself for nil.
    func path(_ key: String?) -> String {
        let base = addressing == .path ? "\(basePath)/\(bucket)" : basePath
        guard let key else { return base.isEmpty || addressing == .virtualHost ? base + "/" : base }
        return "\(base)/\(prefix)\(key)"
    }

    /// The whole URL for a raw path and a query that is already encoded.
    func url(path: String, query: String) -> String {
        "\(scheme)://\(host)\(SigV4Signer.encodePath(path))\(query.isEmpty ? "" : "?\(query)")"
    }

    private static func domain(of region: String) -> String {
        region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
    }

    private static func isAddress(_ host: String) -> Bool {
        host.contains(":") || host.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || $0 == 46 }
    }
}
