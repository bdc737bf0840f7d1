// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// What an RDB holds, found while it flowed by.
struct RDBSummary: Sendable, Equatable {
    var version: RDBVersion
    /// Bytes of the RDB.
    var length: UInt64 = 0
    /// Auxiliary fields, such as `redis-ver`, `repl-id`, `repl-offset`.
    var auxiliary: [String: String] = [:]
    var databases: [Int: RedisInfo.Keyspace] = [:]
    /// SHA-256 of each function library's code by its name.
    var functions: [String: SHA256Digest] = [:]
    /// What could not be understood, such as `value type 26`; from there on nothing was counted, only the end mark and
    /// the checksum were checked. nil: everything was counted.
    var unknown: String?
    /// Whether the server wrote a checksum (`rdbchecksum yes`).
    var hasChecksum = true
}

/// Reads an RDB from its first byte to its last, counts keys, and proves that it is whole: every value parses, the end
/// mark is where the values end, the CRC-64 fits and nothing follows. The format is that of `rdb.h` and `rdb.c` of Redis
/// 4 to 8 and Valkey 7.2 to 9 (versions 8 to 12 and 80).
struct RDBScanner {
    private let input: RDBInput
    private let values: RDBValues
    private var summary: RDBSummary
    private var database = 0

    /// Scans all of `input`.
    ///
    /// - Throws: `Failure(.sourceFailed)` when the RDB is cut short, damaged or not one.
    static func scan(_ input: RDBInput) throws -> RDBSummary {
        guard let version = RDBVersion(magic: try input.bytes(9)) else {
            throw Failure(.sourceFailed, "what arrived is not an RDB")
        }
        var scanner = RDBScanner(
            input: input, values: RDBValues(input: input, family: version.family), summary: RDBSummary(version: version)
        )
        do {
            try scanner.body()
        } catch let unknown as RDBValues.Unknown {
            try scanner.rest(unknown)
        }
        scanner.summary.length = input.length
        return scanner.summary
    }

    private mutating func body() throws {
        while true {
            let opcode = try input.byte()
            switch opcode {
            case 0xFF:  // end
                try end()
                return
            case 0xFE: database = Int(clamping: try values.length())
            case 0xFD:  // expiry in seconds, before a key
                try input.skip(4)
                try pair(try input.byte(), expires: true)
            case 0xFC:  // expiry in milliseconds, before a key
                try input.skip(8)
                try pair(try input.byte(), expires: true)
            case 0xFB:  // sizes of the hash tables, a hint only
                _ = try values.length()
                _ = try values.length()
            case 0xFA:
                let name = String(decoding: try values.shortString(), as: UTF8.self)
                summary.auxiliary[name] = String(decoding: try values.shortString(), as: UTF8.self)
            case 0xF9, 0xF8: try pair(opcode, expires: false)
            case 0xF7:  // a module's own data: id, when, then values
                _ = try values.length()
                try values.moduleValues()
            case 0xF5: try function(try values.shortString())
            case 0xF4:  // slot number, keys and expiries in it, hints only
                for _ in 0..<3 { _ = try values.length() }
            case 0xE0...: throw RDBValues.Unknown(what: "opcode \(opcode)")
            default: try pair(opcode, expires: false)
            }
        }
    }

    /// A key and its value; `first` is the type, or an eviction hint that comes before it.
    private mutating func pair(_ first: UInt8, expires: Bool) throws {
        var type = first
        while type == 0xF8 || type == 0xF9 {
            if type == 0xF8 { _ = try values.length() } else { try input.skip(1) }
            type = try input.byte()
        }
        // Between an eviction hint and its key an expiry may come as well.
        if type == 0xFC || type == 0xFD {
            try input.skip(type == 0xFC ? 8 : 4)
            return try pair(try input.byte(), expires: true)
        }
        try values.skipString()
        try values.value(type)
        summary.databases[database, default: RedisInfo.Keyspace(keys: 0, expires: 0)].keys += 1
        if expires { summary.databases[database]?.expires += 1 }
    }

    private mutating func function(_ code: [UInt8]) throws {
        // The first line reads `#!lua name=mylib`.
        let first = String(decoding: code.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
        let name = first.split(separator: " ").first { $0.lowercased().hasPrefix("name=") }?.dropFirst(5)
        guard let name, first.hasPrefix("#!") else {
            throw RDBValues.Unknown(what: "a function library without a name")
        }
        summary.functions[name.trimmingQuotes()] = SHA256Digest.of(code)
    }

    private mutating func end() throws {
        let computed = input.currentChecksum()
        try check(trailer: try input.bytes(8), computed: computed)
        guard try input.isAtEnd() else {
            throw Failure(.sourceFailed, "bytes follow the end of the RDB")
        }
    }

    /// The end of an RDB with something unknown inside: only its end mark and checksum can be looked at.
    private mutating func rest(_ unknown: RDBValues.Unknown) throws {
        summary.unknown = unknown.what
        let (tail, computed) = try input.drain()
        guard tail.count == 9, tail[0] == 0xFF else {
            throw Failure(.sourceFailed, "the RDB does not finish with its end mark")
        }
        try check(trailer: Array(tail.dropFirst()), computed: computed)
    }

    private mutating func check(trailer: [UInt8], computed: UInt64) throws {
        let recorded = trailer.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        summary.hasChecksum = recorded != 0
        guard recorded == 0 || recorded == computed else {
            throw Failure(.sourceFailed, "the RDB is damaged: its checksum does not fit its bytes")
        }
    }
}

extension Substring {
    fileprivate func trimmingQuotes() -> String {
        filter { $0 != "\"" && $0 != "'" }
    }
}
