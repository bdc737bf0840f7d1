// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads a plan's `repository`.
enum RepositoryReader {
    static func read(_ plan: ConfigReader) throws -> RepositorySettings {
        guard let reader = try plan.mapping("repository", allowed: PlanKeys.repository) else {
            throw plan.failure(
                "repository", "is required", hint: "Say where bundles go, such as store: file:///srv/backups.")
        }
        let store = try reader.requiredString("store")
        let isBucket = try checkStore(store, reader)
        let access =
            try reader.choice("access", of: RepositoryAccess.allCases.map(\.rawValue))
            .flatMap(RepositoryAccess.init(rawValue:)) ?? .full
        guard let s3 = try reader.mapping("s3", allowed: PlanKeys.s3) else {
            return RepositorySettings(store: store, access: access)
        }
        guard isBucket else { throw reader.failure("s3", "fits only a store that begins with s3://") }
        return RepositorySettings(store: store, s3: try settings(s3), access: access)
    }

    /// Whether the store is a bucket.
    private static func checkStore(_ store: String, _ reader: ConfigReader) throws -> Bool {
        if let path = store.droppingPrefix("file://") ?? (store.hasPrefix("/") ? store : nil) {
            let parts = path.split(separator: "/")
            guard path.hasPrefix("/"), !parts.isEmpty, !parts.contains(".."), !parts.contains(".") else {
                throw reader.failure(
                    "store", "'\(store)' does not name a directory by its absolute path",
                    hint: "Write file:///srv/backups.")
            }
            return false
        }
        if let rest = store.droppingPrefix("s3://") {
            let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
            let allowed = parts.first.map { SafeName.isValid($0) } ?? false
            let hasPrefix =
                parts.dropFirst().allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." } || parts.dropFirst() == [""]
            guard allowed, hasPrefix else {
                throw reader.failure("store", "'\(store)' is not s3://BUCKET or s3://BUCKET/PREFIX")
            }
            return true
        }
        throw reader.failure(
            "store", "'\(store)' is no store this salvor knows",
            hint: "Stores are file:///PATH and s3://BUCKET/PREFIX.")
    }

    private static func settings(_ reader: ConfigReader) throws -> S3Settings {
        var s3 = S3Settings()
        s3.endpoint = try url("endpoint", reader, "https://s3.example.com")
        s3.region = try reader.string("region")
        s3.addressing = try reader.choice("addressing", of: S3Settings.Addressing.allCases.map(\.rawValue))
            .flatMap(S3Settings.Addressing.init(rawValue:))
        s3.proxy = try url("proxy", reader, "http://proxy.example.com:3128")
        s3.storageClass = try reader.string("storage-class")
        s3.caFile = try reader.string("ca-file")
        if let file = s3.caFile, !file.hasPrefix("/") { throw reader.failure("ca-file", "must be an absolute path") }
        if let credentials = try reader.mapping("credentials", allowed: PlanKeys.credentials) {
            try read(credentials, into: &s3)
        }
        if let lock = try reader.mapping("object-lock", allowed: PlanKeys.objectLock) {
            guard let mode = try lock.choice("mode", of: ["compliance", "governance"]) else {
                throw lock.failure("mode", "is required")
            }
            guard let days = try lock.integer("days", in: 1...36_500) else { throw lock.failure("days", "is required") }
            s3.objectLock = (mode, days)
        }
        return s3
    }

    private static func read(_ credentials: ConfigReader, into s3: inout S3Settings) throws {
        s3.accessKey = try credentials.secret("access-key")
        s3.secretKey = try credentials.secret("secret-key")
        s3.sessionToken = try credentials.secret("session-token")
        s3.profile = try credentials.string("profile")
        guard (s3.accessKey == nil) == (s3.secretKey == nil) else {
            let missing = s3.accessKey == nil ? "access-key" : "secret-key"
            throw credentials.failure(missing, "is required beside the other one")
        }
        if s3.accessKey != nil, s3.profile != nil {
            throw credentials.failure("profile", "cannot stand beside access-key")
        }
        if s3.accessKey == nil, s3.sessionToken != nil {
            throw credentials.failure("session-token", "needs access-key and secret-key")
        }
    }

    private static func url(_ key: String, _ reader: ConfigReader, _ example: String) throws -> String? {
        guard let text = try reader.string(key) else { return nil }
        guard let rest = text.droppingPrefix("https://") ?? text.droppingPrefix("http://") else {
            throw reader.failure(key, "must begin with https:// or http://", hint: "Write it like \(example).")
        }
        let host = rest.hasSuffix("/") ? rest.dropLast() : rest[...]
        guard !host.isEmpty, !host.contains("/"), !host.contains("?"), !host.contains(" ") else {
            throw reader.failure(key, "must be only a scheme, a host and a port", hint: "Write it like \(example).")
        }
        guard !host.contains("@") else {
            // The text is not repeated: it holds a password.
            throw reader.failure(key, "must not hold a user or password")
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }
}
