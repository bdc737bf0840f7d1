// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Testing

@testable import Stores

@Suite struct SigV4SignerTests {
    @Test("AWS's own test suite gives its signatures", arguments: SigV4Vector.testSuite)
    func testSuite(_ vector: SigV4Vector) throws {
        let signer = SigV4Signer(region: "us-east-1", service: "service")
        let time = try #require(Timestamp("2015-08-30T12:36:00Z"))
        let hash = SHA256Digest.of(Array((vector.body ?? "").utf8)).description
        var headers = vector.headers.map { (name: $0.0, value: $0.1) }
        headers.append((name: "Host", value: "example.amazonaws.com"))
        headers.append((name: "X-Amz-Date", value: time.compact))
        if let token = vector.token { headers.append((name: "X-Amz-Security-Token", value: token)) }
        if vector.body != nil { headers.append((name: "X-Amz-Content-Sha256", value: hash)) }
        let signature = signer.sign(
            SigV4Signer.Request(
                method: vector.method, path: String(vector.target.prefix { $0 != "?" }),
                query: Self.query(of: vector.target), headers: headers, payloadHash: hash),
            with: Credentials(
                accessKey: "AKIDEXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                sessionToken: vector.token),
            at: time)
        #expect(signature.hexadecimal == vector.signature, "\(signature.canonicalRequest)")
        #expect(
            signature.authorization.hasPrefix(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="))
        #expect(signature.authorization.hasSuffix(", Signature=\(vector.signature)"))
    }

    private static func query(of target: String) -> [(name: String, value: String)] {
        guard let mark = target.firstIndex(of: "?") else { return [] }
        return target[target.index(after: mark)...].split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            return (name: parts[0], value: parts.count > 1 ? parts[1] : "")
        }
    }

    /// The examples of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
    @Test("The examples in S3's documentation give their signatures")
    func documentation() throws {
        let empty = S3Connection.emptyHash
        let put = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
        #expect(
            try example("GET", "/test.txt", headers: [("Range", "bytes=0-9")], hash: empty)
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
        #expect(
            try example(
                "PUT", "/test$file.text",
                headers: [
                    ("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ], hash: put) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
        #expect(
            try example("GET", "/", query: [(name: "lifecycle", value: "")], hash: empty)
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
        #expect(
            try example("GET", "/", query: [(name: "prefix", value: "J"), (name: "max-keys", value: "2")], hash: empty)
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }

    private func example(
        _ method: String, _ path: String, query: [(name: String, value: String)] = [],
        headers: [(String, String)] = [], hash: String
    ) throws -> String {
        let time = try #require(Timestamp("2013-05-24T00:00:00Z"))
        let all =
            headers.map { (name: $0.0, value: $0.1) } + [
                (name: "Host", value: "examplebucket.s3.amazonaws.com"),
                (name: "x-amz-content-sha256", value: hash), (name: "x-amz-date", value: time.compact),
            ]
        return SigV4Signer(region: "us-east-1", service: "s3").sign(
            SigV4Signer.Request(method: method, path: path, query: query, headers: all, payloadHash: hash),
            with: Credentials(
                accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), at: time
        ).hexadecimal
    }
}
