// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Stores
@testable import Transfer

@Suite struct MetadataCredentialsTests {
    private let http = MetadataClient(client: HTTPClient(), pauseMilliseconds: 1)

    @Test("A web identity token becomes a role's credentials, from the environment or a profile")
    func webIdentity() async throws {
        let folder = try TemporaryDirectory("token")
        let token = try folder.write("token", "header.claims/+=.signature\n")
        let service = try HTTPDouble { request in
            let form = String(decoding: request.body, as: UTF8.self)
            guard request.method == "POST", request.path == "/",
                request.header("Content-Type") == "application/x-www-form-urlencoded",
                form.contains("Action=AssumeRoleWithWebIdentity"), form.contains("Version=2011-06-15"),
                form.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fbackup"),
                form.contains("WebIdentityToken=header.claims%2F%2B%3D.signature")
            else {
                let error = "<Error><Code>InvalidIdentityToken</Code><Message>no such role</Message></Error>"
                return .response(400, body: Array("<ErrorResponse>\(error)</ErrorResponse>".utf8))
            }
            return .response(
                200,
                body: Array(
                    """
                    <AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
                    <AssumeRoleWithWebIdentityResult><Credentials><SessionToken>STOKEN</SessionToken>
                    <SecretAccessKey>SKSTS</SecretAccessKey><Expiration>2026-11-21T03:00:00Z</Expiration>
                    <AccessKeyId>AKSTS</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>
                    </AssumeRoleWithWebIdentityResponse>
                    """.utf8))
        }
        let expected = Credentials(
            accessKey: "AKSTS", secretKey: "SKSTS", sessionToken: "STOKEN", expires: Timestamp("2026-11-21T03:00:00Z"))
        var environment = [
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/backup", "AWS_WEB_IDENTITY_TOKEN_FILE": token,
            "AWS_ENDPOINT_URL_STS": service.url, "HOME": folder.path,
        ]
        #expect(try await CredentialsChain.of(S3Settings(), environment).credentials() == expected)

        environment["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/other"
        let refused = await failure { _ = try await CredentialsChain.of(S3Settings(), environment).credentials() }
        #expect(refused?.code == .storageDenied)
        #expect(refused?.summary.contains("InvalidIdentityToken: no such role") == true)

        try folder.write(
            ".aws/config",
            "[default]\nrole_arn = arn:aws:iam::1:role/backup\nweb_identity_token_file = \(token)\n")
        environment["AWS_ROLE_ARN"] = nil
        #expect(try await CredentialsChain.of(S3Settings(), environment).credentials() == expected)

        environment["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/backup"
        environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = folder("missing")
        let missing = await failure { _ = try await CredentialsChain.of(S3Settings(), environment).credentials() }
        #expect(missing?.summary == "the token file \(folder("missing")) cannot be read")
    }

    @Test("Container metadata is asked with its token, and never over an open line elsewhere")
    func container() async throws {
        let folder = try TemporaryDirectory("container")
        let file = try folder.write("token", "file-token\n")
        let count = Mutex(0)
        let service = try HTTPDouble { request in
            // Busy at first: the platform's agent may just be starting.
            if count.withLock({
                $0 += 1; return $0
            }) == 1 {
                return .response(503)
            }
            guard request.path == "/v2/credentials", request.header("Authorization") == "file-token" else {
                return .response(403)
            }
            return .response(
                200,
                body: Array(
                    """
                    {"AccessKeyId":"AKC","SecretAccessKey":"SKC","Token":"TC","Expiration":"2026-11-21T03:00:00Z"}
                    """.utf8))
        }
        var environment = [
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "\(service.url)/v2/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file,
        ]
        let found = try await ContainerCredentials(environment: environment, http: http).credentials()
        #expect(found?.accessKey == "AKC" && found?.secretKey == "SKC" && found?.sessionToken == "TC")
        #expect(found?.expires == Timestamp("2026-11-21T03:00:00Z"))
        #expect(service.requests.count == 2)

        environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = nil
        environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "wrong"
        let denied = await failure {
            _ = try await ContainerCredentials(environment: environment, http: http).credentials()
        }
        #expect(denied?.summary == "the container's metadata gave status 403 instead of credentials")
        environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://metadata.example.com/x"
        let refused = await failure {
            _ = try await ContainerCredentials(environment: environment, http: http).credentials()
        }
        #expect(refused?.summary.contains("must not be asked") == true)
        #expect(try await ContainerCredentials(environment: [:], http: http).credentials() == nil)
    }

    @Test("Instance metadata is asked with a session token, and its absence is no error")
    func instance() async throws {
        let service = try HTTPDouble { request in
            let roles = "/latest/meta-data/iam/security-credentials/"
            if request.method == "PUT", request.path == "/latest/api/token",
                request.header("X-aws-ec2-metadata-token-ttl-seconds") == "21600"
            {
                return .response(200, body: Array("SESSION".utf8))
            }
            guard request.method == "GET", request.header("X-aws-ec2-metadata-token") == "SESSION" else {
                return .response(401)
            }
            switch request.path {
            case roles: return .response(200, body: Array("backup-role\n".utf8))
            case roles + "backup-role":
                return .response(
                    200,
                    body: Array(
                        """
                        {"Code":"Success","LastUpdated":"2026-11-20T21:00:00Z","Type":"AWS-HMAC","AccessKeyId":"AKI",\
                        "SecretAccessKey":"SKI","Token":"TI","Expiration":"2026-11-21T03:00:00Z"}
                        """.utf8))
            default: return .response(404)
            }
        }
        var environment = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url + "/"]
        let found = try await InstanceCredentials(environment: environment, http: http).credentials()
        #expect(found?.accessKey == "AKI" && found?.sessionToken == "TI")
        environment["AWS_EC2_METADATA_DISABLED"] = "true"
        #expect(try await InstanceCredentials(environment: environment, http: http).credentials() == nil)

        let withoutRole = try HTTPDouble { request in
            request.method == "PUT" ? .response(200, body: Array("S".utf8)) : .response(404)
        }
        environment = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": withoutRole.url]
        #expect(try await InstanceCredentials(environment: environment, http: http).credentials() == nil)
        let port = try LoopbackSocket.freePorts(1)[0]
        environment = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:\(port)"]
        let failure = await failure {
            _ = try await InstanceCredentials(environment: environment, http: http).credentials()
        }
        #expect(failure?.summary.contains("does not answer at http://127.0.0.1:\(port)") == true)
    }
}
