// SPDX-License-Identifier: Apache-2.0
import ByteStreams

/// A detached signature's bytes that no signature protects: gpg accepts changes to the unhashed part, to the digest's first
/// bytes and to the stated lengths of numbers (RFC 4880, 5.2.3). They carry nothing, but an archive in which a flipped bit
/// goes unnoticed is not proven, so the one form that gpg writes is demanded.
public enum SignaturePacket {
    /// Whether `signature` is one version 4 signature packet over `data` exactly as gpg writes it. Other versions of the
    /// packet protect these bytes themselves and count as canonical.
    public static func isCanonical(_ signature: [UInt8], over data: [UInt8]) -> Bool {
        var reader = Reader(bytes: signature[...])
        guard let body = reader.packetBody(), reader.bytes.isEmpty else { return false }
        guard body.first == 4 else { return body.first.map { $0 > 4 } ?? false }
        var fields = Reader(bytes: body)
        guard let head = fields.take(4), let hashedLength = fields.number(2), let hashed = fields.take(hashedLength),
            let unhashedLength = fields.number(2), let unhashed = fields.take(unhashedLength), let left = fields.take(2)
        else { return false }
        guard isExpected(unhashed: Array(unhashed), hashed: Array(hashed)) else { return false }
        // The digest covers data, the packet up to the hashed part's end, and a trailer (RFC 4880, 5.2.4).
        let covered = Array(head) + [UInt8(hashedLength >> 8), UInt8(hashedLength & 255)] + hashed
        if head.last == 8 {
            let length = UInt32(covered.count)
            let trailer: [UInt8] = [4, 0xff] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
            guard SHA256Digest.of(data + covered + trailer).bytes.prefix(2).elementsEqual(left) else { return false }
        }
        while !fields.bytes.isEmpty {
            guard let bits = fields.number(2), bits > 0, let value = fields.take((bits + 7) / 8),
                let first = value.first,
                (bits - 1) % 8 + 1 == 8 - first.leadingZeroBitCount
            else { return false }
        }
        return true
    }

    /// gpg puts the issuer's key id there, or nothing. The hashed part holds the issuer's whole fingerprint.
    private static func isExpected(unhashed: [UInt8], hashed: [UInt8]) -> Bool {
        guard !unhashed.isEmpty else { return true }
        // Subpackets: length (type included), type 16 issuer key id, type 33 issuer fingerprint of version 4.
        guard unhashed.count == 10, unhashed[0] == 9, unhashed[1] == 16 else { return false }
        var subpackets = Reader(bytes: hashed[...])
        while let length = subpackets.number(1), length > 0, length < 192, let body = subpackets.take(length) {
            if body.first == 33, body.count == 22 { return body.suffix(8).elementsEqual(unhashed.suffix(8)) }
        }
        return false
    }

    private struct Reader {
        var bytes: ArraySlice<UInt8>

        mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard count >= 0, bytes.count >= count else { return nil }
            defer { bytes = bytes.dropFirst(count) }
            return bytes.prefix(count)
        }

        mutating func number(_ count: Int) -> Int? {
            take(count).map { $0.reduce(0) { $0 << 8 | Int($1) } }
        }

        /// A signature packet's body, in the old format that gpg writes with lengths of one or two bytes.
        mutating func packetBody() -> ArraySlice<UInt8>? {
            switch number(1) {
            case 0x88: number(1).flatMap { take($0) }
            case 0x89: number(2).flatMap { $0 > 255 ? take($0) : nil }
            default: nil
            }
        }
    }
}
