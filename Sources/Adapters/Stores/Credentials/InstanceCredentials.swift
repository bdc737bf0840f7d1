// SPDX-License-Identifier: Apache-2.0
import Domain
import Transfer

/// Credentials of a cloud instance, from its metadata service, version 2 (with a session token) only
/// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html).
struct InstanceCredentials: CredentialsProvider {
    let environment: [String: String]
    let http: MetadataClient

    var name: String { "the instance's metadata" }

    private static let roles = "/latest/meta-data/iam/security-credentials/"

    func credentials() async throws -> Credentials? {
        if environment["AWS_EC2_METADATA_DISABLED"]?.lowercased() == "true" { return nil }
        let given = environment.nonEmpty("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        var endpoint = given ?? "http://169.254.169.254"
        if endpoint.hasSuffix("/") { endpoint.removeLast() }

        guard let token = try await token(endpoint, isRequired: given != nil) else { return nil }
        let headers = [HTTPHeader("X-aws-ec2-metadata-token", token)]
        let list = try await http.send(request("GET", endpoint + Self.roles, headers), from: name)
        // An instance without a role.
        if list.status == 404 { return nil }
        let role = String(decoding: list.body, as: UTF8.self).split(whereSeparator: \.isNewline).first
        guard list.isSuccess, let role else {
            throw Failure(.storageNoCredentials, "\(name) gave status \(list.status) instead of a role")
        }
        let reply = try await http.send(request("GET", endpoint + Self.roles + role, headers), from: name)
        return try MetadataClient.credentials(in: reply, from: name)
    }

    /// A session token; nil when there is no such service, as on most machines.
    private func token(_ endpoint: String, isRequired: Bool) async throws -> String? {
        let request = request(
            "PUT", "\(endpoint)/latest/api/token", [HTTPHeader("X-aws-ec2-metadata-token-ttl-seconds", "21600")],
            body: [])
        let response: HTTPResponse
        do {
            response = try await http.client.send(request)
        } catch let error as TransferError {
            guard isRequired else { return nil }
            throw Failure(.storageNoCredentials, "\(name) does not answer at \(endpoint): \(error.detail)")
        }
        guard response.isSuccess else {
            guard isRequired else { return nil }
            throw Failure(.storageNoCredentials, "\(name) refuses a session: status \(response.status)")
        }
        return String(decoding: response.body, as: UTF8.self)
    }

    private func request(
        _ method: String, _ url: String, _ headers: [HTTPHeader], body: [UInt8]? = nil
    ) -> HTTPRequest {
        // Link-local: it answers at once or is not there. A proxy would ask its own machine's service.
        HTTPRequest(
            method, url, headers: headers, body: body,
            limits: HTTPRequest.Limits(connectSeconds: 1, stallSeconds: 3, totalSeconds: 5, maximumResponse: 1 << 20),
            route: HTTPRequest.Route(proxy: .none))
    }
}
