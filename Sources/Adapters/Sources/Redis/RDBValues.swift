// SPDX-License-Identifier: Apache-2.0
import Domain

/// Passes over the values of an RDB, encoded as they are, without unpacking them.
struct RDBValues {
    /// Something that a later server or a module wrote, of unknown length.
    struct Unknown: Error {
        var what: String
    }

    let input: RDBInput
    /// The same type numbers mean different things since Valkey went its own way.
    let family: RDBVersion.Family

    /// Passes over a value of that type.
    func value(_ type: UInt8) throws {
        switch (type, family) {
        case (0, _), (9...13, _), (16...17, _), (20, _): try skipString()
        case (1...2, _), (14, _): try repeated { try skipString() }
        case (3, _):  // sorted set, scores as text
            try repeated {
                try skipString()
                let size = try input.byte()
                if size < 253 { try input.skip(UInt64(size)) }  // 253…255: not a number and the infinities
            }
        case (4, _):
            try repeated {
                try skipString()
                try skipString()
            }
        case (5, _):
            try repeated {
                try skipString()
                try input.skip(8)
            }
        case (7, _):
            _ = try length()
            try moduleValues(hasWhen: false)
        case (15, _), (19, _), (21, _): try stream(type)
        case (18, _):  // quicklist: container kind and node
            try repeated {
                _ = try length()
                try skipString()
            }
        case (22, .valkey):  // hash with an expiry per field
            try repeated {
                try skipString()
                try skipString()
                try input.skip(8)
            }
        case (24, .redis):  // hash with an expiry per field, relative to the smallest
            try input.skip(8)
            try repeated {
                _ = try length()
                try skipString()
                try skipString()
            }
        case (25, .redis):
            try input.skip(8)
            try skipString()
        default: throw Unknown(what: "value type \(type)")
        }
    }

    private func stream(_ type: UInt8) throws {
        try repeated {
            try skipString()
            try skipString()
        }
        for _ in 0..<(type >= 19 ? 8 : 3) { _ = try length() }
        try repeated {  // consumer groups
            try skipString()
            for _ in 0..<(type >= 19 ? 3 : 2) { _ = try length() }
            try repeated {  // entries not acknowledged: id, time, deliveries
                try input.skip(24)
                _ = try length()
            }
            try repeated {  // consumers
                try skipString()
                try input.skip(type >= 21 ? 16 : 8)
                try repeated { try input.skip(16) }
            }
        }
    }

    /// Passes over what a module wrote: typed values up to a zero.
    func moduleValues(hasWhen: Bool = true) throws {
        if hasWhen {
            _ = try length()
            _ = try length()
        }
        while true {
            switch try length() {
            case 0: return
            case 1, 2: _ = try length()
            case 3: try input.skip(4)
            case 4: try input.skip(8)
            case 5: try skipString()
            case let other: throw Unknown(what: "module opcode \(other)")
            }
        }
    }

    // MARK: Lengths and strings

    private func repeated(_ body: () throws -> Void) throws {
        var left = try length()
        while left > 0 {
            try body()
            left -= 1
        }
    }

    /// Reads a length.
    func length() throws -> UInt64 {
        guard case .length(let value) = try lengthOrEncoding() else {
            throw Failure(.sourceFailed, "the RDB is damaged: a length was expected")
        }
        return value
    }

    private enum Prefix {
        case length(UInt64)
        case encoded(UInt8)
    }

    private func lengthOrEncoding() throws -> Prefix {
        let first = try input.byte()
        switch first >> 6 {
        case 0: return .length(UInt64(first & 63))
        case 1: return .length(UInt64(first & 63) << 8 | UInt64(try input.byte()))
        case 2:
            guard first == 0x80 || first == 0x81 else {
                throw Failure(.sourceFailed, "the RDB is damaged: a length begins with \(first)")
            }
            return .length(try input.bytes(first == 0x80 ? 4 : 8).reduce(0) { $0 << 8 | UInt64($1) })
        default: return .encoded(first & 63)
        }
    }

    /// Passes over a string in any encoding.
    func skipString() throws {
        switch try lengthOrEncoding() {
        case .length(let count): try input.skip(count)
        case .encoded(let kind) where kind < 3: try input.skip(1 << UInt64(kind))
        case .encoded(3):
            let compressed = try length()
            _ = try length()
            try input.skip(compressed)
        case .encoded(let kind): throw Failure(.sourceFailed, "the RDB is damaged: string encoding \(kind)")
        }
    }

    /// A string that is wanted: a name, a library's code.
    func shortString() throws -> [UInt8] {
        let limit: UInt64 = 64 << 20
        switch try lengthOrEncoding() {
        case .length(let count) where count <= limit: return try input.bytes(Int(count))
        case .encoded(let kind) where kind < 3:
            let bits = try input.bytes(1 << Int(kind)).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let width = UInt64(8 << Int(kind))
            return Array(String(Int64(bitPattern: bits << (64 - width)) >> Int64(64 - width)).utf8)
        case .encoded(3):
            let compressed = try length()
            let plain = try length()
            guard compressed <= limit, plain <= limit else { fallthrough }
            return try LZF.decompress(try input.bytes(Int(compressed)), to: Int(plain))
        default: throw Failure(.sourceFailed, "the RDB is damaged: a name is longer than \(limit) bytes")
        }
    }
}
