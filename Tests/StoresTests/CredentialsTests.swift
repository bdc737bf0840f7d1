// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Stores
@testable import Transfer

@Suite struct CredentialsTests {
    @Test("The plan's credentials count alone, and half of them is a mistake")
    func plan() async throws {
        var settings = S3Settings()
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        settings.accessKey = SecretReference("AKPLAN", mark: mark)
        let failure = await failure { _ = try await CredentialsChain.of(settings, [:]) }
        #expect(failure?.code == .configuration)
        settings.secretKey = SecretReference("SKPLAN", mark: mark)
        settings.sessionToken = SecretReference("TOKEN", mark: mark)
        let found = try await CredentialsChain.of(settings, ["AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"])
            .credentials()
        #expect(found == Credentials(accessKey: "AKPLAN", secretKey: "SKPLAN", sessionToken: "TOKEN"))
        #expect("\(found)" == "credentials AKPLAN")
        #expect(!String(reflecting: found).contains("SKPLAN"))
    }

    @Test("The environment comes first, and half of it is a mistake")
    func environment() async throws {
        let found = try await CredentialsChain.of(
            S3Settings(),
            [
                "AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "SKENV", "AWS_SESSION_TOKEN": "T",
            ]
        ).credentials()
        #expect(found == Credentials(accessKey: "AKENV", secretKey: "SKENV", sessionToken: "T"))
        let failure = await failure {
            _ = try await EnvironmentCredentials(environment: ["AWS_ACCESS_KEY_ID": "AKENV"]).credentials()
        }
        #expect(failure?.code == .storageNoCredentials)
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
            try await CredentialsChain.of(S3Settings(), base).credentials()
                == Credentials(accessKey: "AKDEFAULT", secretKey: "SK/DEFAULT+=="))
        let named = try await CredentialsChain.of(S3Settings(), base.merging(["AWS_PROFILE": "backup"]) { $1 })
            .credentials()
        #expect(named == Credentials(accessKey: "AKBACKUP", secretKey: "SKBACKUP", sessionToken: "TOKEN"))
        var settings = S3Settings()
        settings.profile = "elsewhere"
        #expect(try await CredentialsChain.of(settings, base).credentials().accessKey == "AKCONFIG")
        #expect(try SharedProfile(profile: "backup", environment: base).settings()?["region"] == "eu-north-1")
        for (profile, text) in [("missing", "is neither in"), ("chained", "uses source_profile")] {
            settings.profile = profile
            let failure = await failure { _ = try await CredentialsChain.of(settings, base).credentials() }
            #expect(failure?.code == .storageNoCredentials)
            #expect(failure?.summary.contains(text) == true, "\(failure?.summary ?? "")")
        }
        try home.write("broken", "[default]\nAKSECRETLINE\n")
        let broken = await failure {
            _ = try await CredentialsChain.of(
                S3Settings(), base.merging(["AWS_SHARED_CREDENTIALS_FILE": home("broken")]) { $1 }
            ).credentials()
        }
        #expect(broken?.summary == "\(home("broken")):2 is neither a [section] nor 'name = value'")
    }

    @Test("Without any credentials the failure says where they were looked for")
    func none() async throws {
        let home = try TemporaryDirectory("home")
        let failure = await failure {
            _ = try await CredentialsChain.of(S3Settings(), ["HOME": home.path, "AWS_EC2_METADATA_DISABLED": "true"])
                .credentials()
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
