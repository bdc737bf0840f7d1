// SPDX-License-Identifier: Apache-2.0
import Domain

/// Credentials of a profile in `~/.aws/credentials` and `~/.aws/config`: a key pair, or a role with a web identity token.
struct SharedFileCredentials: CredentialsProvider {
    let profile: SharedProfile
    /// Makes the provider for a profile with a role.
    let webIdentity: @Sendable (WebIdentityCredentials.Role) -> WebIdentityCredentials

    var name: String { "profile '\(profile.name)'" }

    func credentials() async throws -> Credentials? {
        guard let settings = try profile.settings() else { return nil }
        if let accessKey = settings.nonEmpty("aws_access_key_id"),
            let secretKey = settings.nonEmpty("aws_secret_access_key")
        {
            return Credentials(
                accessKey: accessKey, secretKey: secretKey, sessionToken: settings.nonEmpty("aws_session_token"))
        }
        if let role = settings.nonEmpty("role_arn"), let file = settings.nonEmpty("web_identity_token_file") {
            return try await webIdentity(
                WebIdentityCredentials.Role(
                    arn: role, tokenFile: file, session: settings.nonEmpty("role_session_name"))
            ).credentials()
        }
        for unsupported in [
            "source_profile", "credential_source", "credential_process", "sso_session", "sso_start_url",
        ]
        where settings.nonEmpty(unsupported) != nil {
            throw Failure(
                .storageNoCredentials, "profile '\(profile.name)' uses \(unsupported), which salvor does not know",
                hint: "Use a profile with a key pair, or with role_arn and web_identity_token_file.")
        }
        guard profile.isNamed else { return nil }
        throw Failure(
            .storageNoCredentials, "profile '\(profile.name)' has no aws_access_key_id and aws_secret_access_key",
            hint: "Add both to \(profile.credentialsFile).")
    }
}
