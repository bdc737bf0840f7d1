// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Transfer

/// Credentials of a container, from the service its platform names in the environment
/// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html).
struct ContainerCredentials: CredentialsProvider {
    let environment: [String: String]
    let http: MetadataClient

    var name: String { "the container's metadata" }

    func credentials() async throws -> Credentials? {
        guard let url = try url() else { return nil }
        var headers = [HTTPHeader("Accept", "application/json")]
        if let file = environment.nonEmpty("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            headers.append(HTTPHeader("Authorization", try MetadataClient.secret(inFile: file)))
        } else if let token = environment.nonEmpty("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
            headers.append(HTTPHeader("Authorization", token))
        }
        let request = HTTPRequest(
            "GET", url, headers: headers,
            limits: HTTPRequest.Limits(connectSeconds: 2, stallSeconds: 5, maximumResponse: 1 << 20),
            route: HTTPRequest.Route(proxy: .none))
        return try MetadataClient.credentials(in: try await http.send(request, from: name), from: name)
    }

    private func url() throws -> String? {
        if let path = environment.nonEmpty("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            return "http://169.254.170.2\(path)"
        }
        guard let full = environment.nonEmpty("AWS_CONTAINER_CREDENTIALS_FULL_URI") else { return nil }
        guard let parts = URLComponents(string: full), let host = parts.host, Self.mayBeAsked(host, parts.scheme) else {
            throw Failure(
                .storageNoCredentials, "AWS_CONTAINER_CREDENTIALS_FULL_URI names a service that must not be asked",
                hint: "Use https, this machine's loopback address, or the platform's link-local address.")
        }
        return full
    }

    /// Without encryption only addresses that do not leave the machine, as the AWS tools do.
    private static func mayBeAsked(_ host: String, _ scheme: String?) -> Bool {
        if scheme == "https" { return true }
        let bare = host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        return scheme == "http"
            && (bare == "localhost" || bare.hasPrefix("127.") || bare == "::1"
                || ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"].contains(bare))
    }
}
