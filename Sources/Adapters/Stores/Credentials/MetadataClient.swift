// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Transfer

/// What the credential services have in common: small requests, several tries, JSON replies.
struct MetadataClient: Sendable {
    let client: HTTPClient
    var tries = 3
    /// Between two tries; doubled each time.
    var pauseMilliseconds = 200

    /// The reply of a service that must be there.
    func send(_ request: HTTPRequest, from name: String) async throws -> HTTPResponse {
        var pause = pauseMilliseconds
        for attempt in 1... {
            let cause: String
            do {
                let response = try await client.send(request)
                if response.status < 500 && response.status != 429 || attempt >= tries { return response }
                cause = "status \(response.status)"
            } catch let error as TransferError {
                cause = error.detail
            }
            if attempt >= tries {
                throw Failure(
                    .storageNoCredentials, "\(name) cannot be asked for credentials at \(request.url): \(cause)")
            }
            try await Task.sleep(for: .milliseconds(pause))
            pause *= 2
        }
        throw CancellationError()
    }

    /// The credentials in a JSON reply with the fields that container and instance metadata share.
    static func credentials(in response: HTTPResponse, from place: String) throws -> Credentials {
        // Whatever cannot be decoded is reported below, without the reply: it may hold a secret.
        guard response.isSuccess, let reply = try? JSONDecoder().decode(Reply.self, from: Data(response.body)) else {
            throw Failure(
                .storageNoCredentials, "\(place) gave status \(response.status) instead of credentials",
                hint: "Check that a role is attached to this machine or container.")
        }
        if let code = reply.code, code != "Success" {
            throw Failure(.storageNoCredentials, "\(place) gave no credentials: \(code)")
        }
        guard let accessKey = reply.accessKey, let secretKey = reply.secretKey else {
            throw Failure(.storageNoCredentials, "the reply of \(place) holds no credentials")
        }
        return try credentials(
            accessKey: accessKey, secretKey: secretKey, token: reply.token, expiration: reply.expiration, from: place)
    }

    private struct Reply: Decodable {
        var code: String?
        var accessKey: String?
        var secretKey: String?
        var token: String?
        var expiration: String?

        enum CodingKeys: String, CodingKey {
            case code = "Code"
            case accessKey = "AccessKeyId"
            case secretKey = "SecretAccessKey"
            case token = "Token"
            case expiration = "Expiration"
        }
    }

    static func credentials(
        accessKey: String, secretKey: String, token: String?, expiration: String?, from place: String
    ) throws -> Credentials {
        var expires: Timestamp?
        if let expiration {
            // Fractions of seconds come from some services and matter to nobody.
            let whole = expiration.prefix { $0 != "." && $0 != "Z" && $0 != "+" }
            guard let moment = Timestamp("\(whole)Z") else {
                throw Failure(.storageNoCredentials, "\(place) gave credentials with the expiry '\(expiration)'")
            }
            expires = moment
        }
        return Credentials(accessKey: accessKey, secretKey: secretKey, sessionToken: token, expires: expires)
    }

    /// The text of a file with a token, without the newline at its end.
    static func secret(inFile path: String) throws -> String {
        do {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            return text.trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            throw Failure(
                .storageNoCredentials, "the token file \(path) cannot be read",
                hint: "Mount it, and make it readable for the user that runs salvor.")
        }
    }
}
