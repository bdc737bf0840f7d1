// SPDX-License-Identifier: Apache-2.0
import Domain

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
struct EnvironmentCredentials: CredentialsProvider {
    let environment: [String: String]

    var name: String { "the environment" }

    func credentials() async throws -> Credentials? {
        let accessKey = environment.nonEmpty("AWS_ACCESS_KEY_ID")
        let secretKey = environment.nonEmpty("AWS_SECRET_ACCESS_KEY")
        if accessKey == nil, secretKey == nil { return nil }
        guard let accessKey, let secretKey else {
            throw Failure(
                .storageNoCredentials,
                "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set", hint: "Set both or neither.")
        }
        return Credentials(
            accessKey: accessKey, secretKey: secretKey, sessionToken: environment.nonEmpty("AWS_SESSION_TOKEN"))
    }
}

extension [String: String] {
    /// A variable's value; nil when it is unset or empty, which the AWS tools treat alike.
    func nonEmpty(_ name: String) -> String? {
        guard let value = self[name], !value.isEmpty else { return nil }
        return value
    }
}
