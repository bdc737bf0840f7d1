// SPDX-License-Identifier: Apache-2.0

/// The format of an RDB, from its first nine bytes: `REDIS0010`, `VALKEY080`.
struct RDBVersion: Sendable, Equatable, CustomStringConvertible {
    enum Family: String, Sendable {
        case redis = "REDIS"
        case valkey = "VALKEY"
    }

    var family: Family
    var number: Int

    init(_ family: Family, _ number: Int) {
        self.family = family
        self.number = number
    }

    /// Reads the first nine bytes of an RDB; nil when they are not the beginning of one.
    init?(magic: [UInt8]) {
        let text = String(decoding: magic, as: UTF8.self)
        guard magic.count == 9 else { return nil }
        for family in [Family.redis, .valkey] where text.hasPrefix(family.rawValue) {
            let digits = text.dropFirst(family.rawValue.count)
            guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(digits), number > 0 else {
                return nil
            }
            self.init(family, number)
            return
        }
        return nil
    }

    /// What a server of that product and version writes; nil when it is older than what is known here. Newer servers
    /// write at least what the newest known one does.
    init?(product: RedisProduct) {
        switch product.name {
        case .valkey:
            self = product.isAtLeast(9) ? RDBVersion(.valkey, 80) : RDBVersion(.redis, 11)
        case .redis:
            let numbers = [(7, 4, 12), (7, 2, 11), (7, 0, 10), (5, 0, 9), (4, 0, 8)]
            guard let known = numbers.first(where: { product.isAtLeast($0.0, $0.1) }) else { return nil }
            self.init(.redis, known.2)
        }
    }

    /// Whether a server that writes `self` can load `other`. Valkey takes Redis' formats from 12 on for foreign ones.
    func loads(_ other: RDBVersion) -> Bool {
        switch (family, other.family) {
        case (.redis, .redis), (.valkey, .valkey): other.number <= number
        case (.valkey, .redis): other.number <= 11
        case (.redis, .valkey): false
        }
    }

    var description: String {
        let digits = String(number)
        return family.rawValue + String(repeating: "0", count: max(0, 9 - family.rawValue.count - digits.count))
            + digits
    }
}

/// A server's product and version.
struct RedisProduct: Sendable, Equatable, CustomStringConvertible {
    enum Name: String, Sendable {
        case redis = "Redis"
        case valkey = "Valkey"
    }

    var name: Name
    /// Such as `7.0.15`.
    var version: String

    /// Takes it from the answer to `INFO server`. Valkey also states the Redis version it is compatible with.
    init?(info: RedisInfo) {
        if let version = info["valkey_version"] {
            (name, self.version) = (.valkey, version)
        } else if let version = info["redis_version"] {
            (name, self.version) = (.redis, version)
        } else {
            return nil
        }
    }

    /// Takes it from the output of `redis-server --version`: `Redis server v=7.0.15 sha=…`.
    init?(versionOutput text: String) {
        guard let found = text.split(separator: " ").first(where: { $0.hasPrefix("v=") }) else { return nil }
        name = text.lowercased().contains("valkey") ? .valkey : .redis
        version = String(found.dropFirst(2))
    }

    private var numbers: [Int] { version.split(separator: ".").map { Int($0.prefix { $0.isNumber }) ?? 0 } }
    var major: Int { numbers.first ?? 0 }
    var minor: Int { numbers.count > 1 ? numbers[1] : 0 }

    /// Whether the version is that one or a later one.
    func isAtLeast(_ major: Int, _ minor: Int = 0) -> Bool { (self.major, self.minor) >= (major, minor) }

    var description: String { "\(name.rawValue) \(version)" }
}
