// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Stores
@testable import Transfer

@Suite struct CredentialsTests {
    private let http = MetadataClient(client: HTTPClient(), pauseMilliseconds: 1)

    private func chain(
        _ settings: S3Settings = S3Settings(), _ environment: [String: String], clock: any WallClock = SystemClock()
    ) async throws -> CredentialsChain {
        let providers = try await StoreFactory.providers(
            settings, LiteralSecrets(), SharedProfile(profile: settings.profile, environment: environment),
            region: "us-east-1", environment: environment)
        return CredentialsChain(providers, clock: clock)
    }

    @Test("The plan's credentials count alone, and half of them is a mistake")
    func plan() async throws {
        var settings = S3Settings()
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        settings.accessKey = SecretReference("AKPLAN", mark: mark)
        let failure = await failure { _ = try await chain(settings, [:]) }
        #expect(failure?.code == .configuration)
        settings.secretKey = SecretReference("SKPLAN", mark: mark)
        settings.sessionToken = SecretReference("TOKEN", mark: mark)
        let found = try await chain(settings, ["AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"]).credentials()
        #expect(found == Credentials(accessKey: "AKPLAN", secretKey: "SKPLAN", sessionToken: "TOKEN"))
        #expect("\(found)" == "credentials AKPLAN")
        #expect(!String(reflecting: found).contains("SKPLAN"))
    }

    @Test("The environment comes first, and half of it is a mistake")
    func environment() async throws {
        let found = try await chain([
            "AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "SKENV", "AWS_SESSION_TOKEN": "T",
        ]).credentials()
        #expect(found == Credentials(accessKey: "AKENV", secretKey: "SKENV", sessionToken: "T"))
        let failure = await failure {
            _ = try await EnvironmentCredentials(environment: ["AWS_ACCESS_KEY_ID": "AKENV"]).credentials()
        }
        #expect(failure?.code == .storageNoCredentials)
    }

    private func chain(_ environment: [String: String]) async throws -> CredentialsChain {
        try await chain(S3Settings(), environment)
    }

    @Test("Profiles are found in both shared files, and a named one must be there")
    func sharedFiles() async throws {
        let home = try TemporaryDirectory("home")
        try home.write(
            ".aws/credentials",
            """
            # comment
            [default]
            aws_access_key_id = AKDEFAULT
            aws_secret_access_key=SK/DEFAULT+==

            [backup]
            aws_access_key_id = AKBACKUP
            aws_secret_access_key = SKBACKUP
            aws_session_token = TOKEN
            """)
        try home.write(
            ".aws/config",
            """
            [profile backup]
            region = eu-north-1
            s3 =
                addressing_style = path
            [profile elsewhere]
            aws_access_key_id = AKCONFIG
            aws_secret_access_key = SKCONFIG
            [profile chained]
            source_profile = backup
            role_arn = arn:aws:iam::1:role/x
            """)
        let base = ["HOME": home.path, "AWS_EC2_METADATA_DISABLED": "true"]
        #expect(
            try await chain(base).credentials() == Credentials(accessKey: "AKDEFAULT", secretKey: "SK/DEFAULT+=="))
        let named = try await chain(base.merging(["AWS_PROFILE": "backup"]) { $1 }).credentials()
        #expect(named == Credentials(accessKey: "AKBACKUP", secretKey: "SKBACKUP", sessionToken: "TOKEN"))
        var settings = S3Settings()
        settings.profile = "elsewhere"
        #expect(try await chain(settings, base).credentials().accessKey == "AKCONFIG")
        #expect(try SharedProfile(profile: "backup", environment: base).settings()?["region"] == "eu-north-1")
        for (profile, text) in [("missing", "is neither in"), ("chained", "uses source_profile")] {
            settings.profile = profile
            let failure = await failure { _ = try await chain(settings, base).credentials() }
            #expect(failure?.code == .storageNoCredentials)
            #expect(failure?.summary.contains(text) == true, "\(failure?.summary ?? "")")
        }
        try home.write("broken", "[default]\nAKSECRETLINE\n")
        let broken = await failure {
            _ = try await chain(base.merging(["AWS_SHARED_CREDENTIALS_FILE": home("broken")]) { $1 }).credentials()
        }
        #expect(broken?.summary == "\(home("broken")):2 is neither a [section] nor 'name = value'")
    }

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
        #expect(try await chain(environment).credentials() == expected)

        environment["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/other"
        let refused = await failure { _ = try await chain(environment).credentials() }
        #expect(refused?.code == .storageDenied)
        #expect(refused?.summary.contains("InvalidIdentityToken: no such role") == true)

        try folder.write(
            ".aws/config",
            "[default]\nrole_arn = arn:aws:iam::1:role/backup\nweb_identity_token_file = \(token)\n")
        environment["AWS_ROLE_ARN"] = nil
        #expect(try await chain(environment).credentials() == expected)

        environment["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/backup"
        environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = folder("missing")
        let missing = await failure { _ = try await chain(environment).credentials() }
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

    @Test("Without any credentials the failure says where they were looked for")
    func none() async throws {
        let home = try TemporaryDirectory("home")
        let failure = await failure {
            _ = try await chain(["HOME": home.path, "AWS_EC2_METADATA_DISABLED": "true"]).credentials()
        }
        #expect(failure?.code == .storageNoCredentials)
        #expect(
            failure?.summary == "no credentials for the store: none in the environment, a web identity, "
                + "profile 'default', the container's metadata, the instance's metadata")
    }

    @Test("Credentials are fetched again before they expire, once for all who wait, and outlive a short outage")
    func refresh() async throws {
        let clock = AdjustableClock(Timestamp(seconds: 1_000_000))
        let provider = CountingCredentials(lifetime: 3600, clock: clock)
        let chain = CredentialsChain([provider], clock: clock)
        let first = try await withThrowingTaskGroup(of: Credentials.self) { group in
            for _ in 0..<20 { group.addTask { try await chain.credentials() } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1.accessKey) }
        }
        #expect(first == ["AK1"])
        clock.advance(3200)
        #expect(try await chain.credentials().accessKey == "AK1")
        clock.advance(200)
        provider.isBroken.withLock { $0 = true }
        #expect(try await chain.credentials().accessKey == "AK1", "200 seconds are left")
        provider.isBroken.withLock { $0 = false }
        let second = try await chain.credentials()
        #expect(second.accessKey == "AK2")
        #expect(await chain.discard(second))
        #expect(try await chain.credentials().accessKey == "AK3")
        clock.advance(3590)
        provider.isBroken.withLock { $0 = true }
        #expect(await failure { _ = try await chain.credentials() }?.code == .storageNoCredentials)
    }

    @Test("A store that refuses an expired token gets a request with a fresh one")
    func expiredToken() async throws {
        let server = try HTTPDouble { request in
            request.header("x-amz-security-token") == "T1"
                ? .response(400, body: FaultProxy.document("ExpiredToken")) : .response(200)
        }
        let provider = CountingCredentials(lifetime: 3600, clock: SystemClock())
        let location = try S3Location(
            bucket: "bucket", prefix: "", region: "us-east-1", endpoint: server.url, addressing: .path)
        var options = S3Store.Options()
        options.route.proxy = .none
        options.retry.firstPause = 0.01
        let store = S3Store(
            location, credentials: CredentialsChain([provider]), client: HTTPClient(), options: options)
        try await store.put("a", [1])
        #expect(server.requests.map { $0.header("x-amz-security-token") } == ["T1", "T2"])
    }
}

/// Secrets that are what the reference says.
struct LiteralSecrets: SecretResolver {
    func resolve(_ reference: SecretReference) async throws -> String {
        guard case .literal(let text) = reference.kind else {
            throw Failure(.secretUnavailable, "only literals in this test")
        }
        return text
    }
}

/// A clock that stands still until it is moved.
final class AdjustableClock: WallClock {
    private let time: Mutex<Timestamp>

    init(_ time: Timestamp) { self.time = Mutex(time) }

    func now() -> Timestamp { time.withLock { $0 } }

    func advance(_ seconds: Int64) { time.withLock { $0.seconds += seconds } }
}

/// Gives numbered credentials.
private final class CountingCredentials: CredentialsProvider {
    private let lifetime: Int64
    private let clock: any WallClock
    private let count = Mutex(0)
    let isBroken = Mutex(false)

    init(lifetime: Int64, clock: any WallClock) {
        self.lifetime = lifetime
        self.clock = clock
    }

    var name: String { "a counter" }

    func credentials() async throws -> Credentials? {
        if isBroken.withLock({ $0 }) { throw Failure(.storageNoCredentials, "out of order") }
        await Task.yield()
        let number = count.withLock {
            $0 += 1
            return $0
        }
        return Credentials(
            accessKey: "AK\(number)", secretKey: "SK", sessionToken: "T\(number)",
            expires: Timestamp(seconds: clock.now().seconds + lifetime))
    }
}
