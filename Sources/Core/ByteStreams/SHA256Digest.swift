// SPDX-License-Identifier: Apache-2.0
import Crypto

/// A SHA-256 value (FIPS 180-4), printed and stored as 64 lower-case hexadecimal digits.
public struct SHA256Digest: Hashable, Sendable, CustomStringConvertible {
    /// The 32 bytes of the digest.
    public let bytes: [UInt8]

    /// Takes the 32 bytes of a finished digest.
    public init?(bytes: [UInt8]) {
        guard bytes.count == SHA256.byteCount else { return nil }
        self.bytes = bytes
    }

    /// Reads 64 lower-case hexadecimal digits; anything else is refused.
    public init?(hexadecimal text: some StringProtocol) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(SHA256.byteCount)
        var high: UInt8?
        for character in text.utf8 {
            let value: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = character - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let pending = high {
                bytes.append(pending << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        guard high == nil else { return nil }
        self.init(bytes: bytes)
    }

    fileprivate init(finished digest: SHA256.Digest) {
        bytes = Array(digest)
    }

    /// The digest of `data`.
    public static func of(_ data: some Sequence<UInt8>) -> SHA256Digest {
        var running = RunningSHA256()
        if data.withContiguousStorageIfAvailable({ running.update(UnsafeRawBufferPointer($0)) }) == nil {
            Array(data).withUnsafeBytes { running.update($0) }
        }
        return running.finish()
    }

    /// The digest of the bytes in `buffer`.
    public static func of(_ buffer: UnsafeRawBufferPointer) -> SHA256Digest {
        var running = RunningSHA256()
        running.update(buffer)
        return running.finish()
    }

    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension SHA256Digest: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let digest = SHA256Digest(hexadecimal: text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a SHA-256 in hexadecimal")
        }
        self = digest
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A SHA-256 under way, with the count of bytes it has seen.
public struct RunningSHA256: Sendable {
    private var hash = SHA256()
    /// Bytes hashed so far.
    public private(set) var length: UInt64 = 0

    public init() {}

    /// Adds the bytes of `buffer`.
    public mutating func update(_ buffer: UnsafeRawBufferPointer) {
        hash.update(bufferPointer: buffer)
        length += UInt64(buffer.count)
    }

    /// The digest of all bytes so far; more may still be added to the running value.
    public func finish() -> SHA256Digest {
        SHA256Digest(finished: hash.finalize())
    }
}
