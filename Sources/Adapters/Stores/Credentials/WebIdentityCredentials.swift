// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Transfer
import XMLCoder

/// Credentials of a role, given by the security token service for a web identity token, as Kubernetes service accounts
/// have one (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html).
struct WebIdentityCredentials: CredentialsProvider {
    /// Which role, and the token that allows it.
    struct Role: Sendable {
        var arn: String
        /// Read anew each time, since tokens are rotated in place.
        var tokenFile: String
        var session: String?
    }

    /// nil: nothing is set up.
    let role: Role?
    let endpoint: String
    let http: MetadataClient

    var name: String { "a web identity" }

    /// What `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE` say.
    static func role(in environment: [String: String]) -> Role? {
        guard let arn = environment.nonEmpty("AWS_ROLE_ARN"),
            let file = environment.nonEmpty("AWS_WEB_IDENTITY_TOKEN_FILE")
        else { return nil }
        return Role(arn: arn, tokenFile: file, session: environment.nonEmpty("AWS_ROLE_SESSION_NAME"))
    }

    func credentials() async throws -> Credentials? {
        guard let role else { return nil }
        let token = try MetadataClient.secret(inFile: role.tokenFile)
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"), ("Version", "2011-06-15"), ("RoleArn", role.arn),
            ("RoleSessionName", role.session ?? "salvor"), ("WebIdentityToken", token),
        ].map { "\($0.0)=\(SigV4Signer.encode($0.1))" }.joined(separator: "&")
        let response = try await http.send(
            HTTPRequest(
                "POST", "\(endpoint)/",
                headers: [
                    HTTPHeader("Content-Type", "application/x-www-form-urlencoded"),
                    HTTPHeader("Accept", "application/xml"),
                ], body: Array(form.utf8)), from: name)
        guard response.isSuccess else {
            let error = ErrorReply(tokenService: response)
            throw Failure(
                .storageDenied, "\(endpoint) gives no credentials for \(role.arn): \(error.words)",
                hint: "Check the role's trust policy and the token in \(role.tokenFile).")
        }
        // Whatever cannot be decoded is reported below, without the reply: it may hold a secret.
        let reply = try? XMLDecoder().decode(Reply.self, from: Data(response.body))
        guard let found = reply?.result.credentials else {
            throw Failure(.storageFailed, "the reply of \(endpoint) holds no credentials")
        }
        return try MetadataClient.credentials(
            accessKey: found.accessKey, secretKey: found.secretKey, token: found.sessionToken,
            expiration: found.expiration, from: endpoint)
    }

    private struct Reply: Decodable {
        var result: Result

        enum CodingKeys: String, CodingKey {
            case result = "AssumeRoleWithWebIdentityResult"
        }

        struct Result: Decodable {
            var credentials: Found

            enum CodingKeys: String, CodingKey {
                case credentials = "Credentials"
            }
        }

        struct Found: Decodable {
            var accessKey: String
            var secretKey: String
            var sessionToken: String
            var expiration: String

            enum CodingKeys: String, CodingKey {
                case accessKey = "AccessKeyId"
                case secretKey = "SecretAccessKey"
                case sessionToken = "SessionToken"
                case expiration = "Expiration"
            }
        }
    }
}
