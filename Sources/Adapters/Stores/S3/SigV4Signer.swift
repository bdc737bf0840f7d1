// SPDX-License-Identifier: Apache-2.0
import Crypto
import Domain
import Foundation

/// AWS Signature Version 4 in headers, as a pure function of the request, the credentials and the time.
///
/// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. Paths are encoded once and
/// not normalised, which is S3's way.
struct SigV4Signer: Sendable {
    var region: String
    var service: String

    /// What is signed. Path and query are raw, not percent-encoded.
    struct Request: Sendable {
        var method: String
        var path: String
        var query: [(name: String, value: String)] = []
        /// All of them are signed; `host` must be among them.
        var headers: [(name: String, value: String)]
        /// Lower-case hexadecimal SHA-256 of the body, or `UNSIGNED-PAYLOAD`.
        var payloadHash: String
    }

    /// The steps of the computation, each as the documentation names it.
    struct Signature: Sendable {
        var canonicalRequest: String
        var stringToSign: String
        var hexadecimal: String
        /// The value of the `Authorization` field.
        var authorization: String
    }

    /// Signs `request`, whose headers must already hold `x-amz-date` for `time` and, if there is one, the session token.
    func sign(_ request: Request, with credentials: Credentials, at time: Timestamp) -> Signature {
        let headers = Self.canonicalHeaders(request.headers)
        let names = headers.map(\.name).joined(separator: ";")
        let canonical = [
            request.method,
            Self.encodePath(request.path),
            Self.canonicalQuery(request.query),
            headers.map { "\($0.name):\($0.value)\n" }.joined(),
            names,
            request.payloadHash,
        ].joined(separator: "\n")

        let day = String(time.compact.prefix(8))
        let scope = "\(day)/\(region)/\(service)/aws4_request"
        let digest = Self.hexadecimal(SHA256.hash(data: Data(canonical.utf8)))
        let toSign = "AWS4-HMAC-SHA256\n\(time.compact)\n\(scope)\n\(digest)"

        var key = SymmetricKey(data: Data("AWS4\(credentials.secretKey)".utf8))
        for part in [day, region, service, "aws4_request"] {
            key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Data(part.utf8), using: key))
        }
        let signature = Self.hexadecimal(HMAC<SHA256>.authenticationCode(for: Data(toSign.utf8), using: key))
        return Signature(
            canonicalRequest: canonical, stringToSign: toSign, hexadecimal: signature,
            authorization: "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), "
                + "SignedHeaders=\(names), Signature=\(signature)")
    }

    /// Percent-encodes all but RFC 3986's unreserved characters, byte by byte.
    static func encode(_ text: String) -> String { encode(text, keepsSlash: false) }

    /// As `encode`, with slashes left as they are; an empty path becomes `/`.
    static func encodePath(_ path: String) -> String { path.isEmpty ? "/" : encode(path, keepsSlash: true) }

    private static let digits = Array("0123456789ABCDEF".utf8)

    private static func encode(_ text: String, keepsSlash: Bool) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            case UInt8(ascii: "/") where keepsSlash: bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The query as it is signed and sent: encoded, then sorted by name, then by value.
    static func canonicalQuery(_ query: [(name: String, value: String)]) -> String {
        query.map { (encode($0.name), encode($0.value)) }
            .sorted { StoreKey.areInOrder($0.0, $1.0) || ($0.0 == $1.0 && StoreKey.areInOrder($0.1, $1.1)) }
            .map { "\($0.0)=\($0.1)" }
            .joined(separator: "&")
    }

    /// Names in lower case and in order, values trimmed with runs of blanks made one; values of one name are joined in
    /// the order they came.
    private static func canonicalHeaders(_ headers: [(name: String, value: String)]) -> [(name: String, value: String)]
    {
        var values: [String: [String]] = [:]
        for (name, value) in headers {
            let words = value.split { $0 == " " || $0 == "\t" || $0.isNewline }
            values[name.lowercased(), default: []].append(words.joined(separator: " "))
        }
        return values.map { (name: $0.key, value: $0.value.joined(separator: ",")) }
            .sorted { StoreKey.areInOrder($0.name, $1.name) }
    }

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let lower = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [lower[Int($0 >> 4)], lower[Int($0 & 15)]] }, as: UTF8.self)
    }
}
