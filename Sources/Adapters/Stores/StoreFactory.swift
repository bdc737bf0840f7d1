// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Transfer

/// Makes the store that a plan names.
public enum StoreFactory {
    /// The store for `settings`: `file:///path`, an absolute path, or `s3://bucket/prefix`. `uploadLimit` is in bytes per
    /// second over all uploads to a bucket; directories are not limited.
    ///
    /// Nothing is contacted yet. Throws `configuration` failures, and what resolving the secrets throws.
    public static func make(
        _ settings: RepositorySettings, secrets: any SecretResolver, uploadLimit: Int? = nil
    ) async throws -> any Store {
        try await make(
            settings, secrets: secrets, uploadLimit: uploadLimit,
            environment: ProcessInfo.processInfo.environment, options: S3Store.Options())
    }

    /// As above, with the environment and the options given.
    static func make(
        _ settings: RepositorySettings, secrets: any SecretResolver, uploadLimit: Int?,
        environment: [String: String], options: S3Store.Options
    ) async throws -> any Store {
        switch try StoreLocation(settings.store) {
        case .directory(let path):
            let store = DirectoryStore(path)
            return settings.access == .putOnly ? PutOnlyStore(store) : store
        case .bucket(let bucket, let prefix):
            try TransferLibrary.requireUsableForStores()
            var options = options
            options.storageClass = settings.s3.storageClass
            options.objectLock = settings.s3.objectLock
            options.isPutOnly = settings.access == .putOnly
            options.route = HTTPRequest.Route(
                caFile: try readableCAFile(settings.s3.caFile),
                proxy: settings.s3.proxy.map(HTTPRequest.Proxy.url) ?? .environment)
            let profile = SharedProfile(profile: settings.s3.profile, environment: environment)
            let region = try region(settings.s3, profile, environment)
            let location = try S3Location(
                bucket: bucket, prefix: prefix, region: region, endpoint: settings.s3.endpoint,
                addressing: settings.s3.addressing)
            let providers = try await providers(
                settings.s3, secrets, profile, region: region, environment: environment)
            let store = S3Store(
                location, credentials: CredentialsChain(providers, clock: options.clock),
                client: HTTPClient(uploadLimit: uploadLimit.map(UploadLimit.init(bytesPerSecond:))), options: options)
            return settings.access == .putOnly ? PutOnlyStore(store) : store
        }
    }

    private static func readableCAFile(_ path: String?) throws -> String? {
        guard let path else { return nil }
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw Failure(
                .configuration, "the file of certificate authorities \(path) cannot be read",
                hint: "Correct repository.s3.ca-file, or make the file readable.")
        }
        return path
    }

    private static func region(
        _ settings: S3Settings, _ profile: SharedProfile, _ environment: [String: String]
    ) throws -> String {
        if let region = settings.region ?? environment.nonEmpty("AWS_REGION")
            ?? environment.nonEmpty("AWS_DEFAULT_REGION")
        {
            return region
        }
        // A broken file matters only when credentials are taken from it, and is reported then.
        let shared = try? profile.settings()?.nonEmpty("region")
        return shared ?? "us-east-1"
    }

    /// The places to look for credentials, in the order of the AWS tools. What the plan says counts alone.
    static func providers(
        _ settings: S3Settings, _ secrets: any SecretResolver, _ profile: SharedProfile, region: String,
        environment: [String: String]
    ) async throws -> [any CredentialsProvider] {
        switch (settings.accessKey, settings.secretKey) {
        case (let accessKey?, let secretKey?):
            var token: String?
            if let reference = settings.sessionToken { token = try await secrets.resolve(reference) }
            return [
                FixedCredentials(
                    Credentials(
                        accessKey: try await secrets.resolve(accessKey),
                        secretKey: try await secrets.resolve(secretKey), sessionToken: token))
            ]
        case (nil, nil): break
        default:
            throw Failure(
                .configuration, "repository.s3.credentials has only one of access-key and secret-key",
                hint: "Give both, or neither to use the usual AWS sources.")
        }
        // A client of its own: metadata must not wait for the uploads' limit.
        let http = MetadataClient(client: HTTPClient())
        let service = environment.nonEmpty("AWS_ENDPOINT_URL_STS") ?? "https://sts.\(region).amazonaws.com"
        let shared = SharedFileCredentials(profile: profile) {
            WebIdentityCredentials(role: $0, endpoint: service, http: http)
        }
        if settings.profile != nil { return [shared] }
        return [
            EnvironmentCredentials(environment: environment),
            WebIdentityCredentials(
                role: WebIdentityCredentials.role(in: environment), endpoint: service, http: http),
            shared,
            ContainerCredentials(environment: environment, http: http),
            InstanceCredentials(environment: environment, http: http),
        ]
    }
}

extension TransferLibrary {
    /// As `requireUsable`, with a failure that says what to do.
    fileprivate static func requireUsableForStores() throws {
        do {
            try requireUsable()
        } catch let error as TransferError {
            throw Failure(.preflightRefused, error.detail, hint: "Install the libcurl that Salvor was built for.")
        }
    }
}
