// SPDX-License-Identifier: Apache-2.0

/// The outermost packets of an OpenPGP message (RFC 4880, 4.2), walked without decrypting.
enum MessageFraming {
    static let sessionKey: UInt8 = 1
    static let protectedData: UInt8 = 18

    /// The packets' tags in order.
    ///
    /// - Throws: `EncryptionError` when the packets do not end exactly where the bytes do.
    static func tags(_ message: [UInt8]) throws(EncryptionError) -> [UInt8] {
        var tags: [UInt8] = []
        var position = 0
        func number(_ start: Int, _ count: Int) throws(EncryptionError) -> Int {
            guard start + count <= message.count else { throw .truncated }
            return message[start..<(start + count)].reduce(0) { $0 << 8 | Int($1) }
        }
        while position < message.count {
            let header = message[position]
            position += 1
            guard header & 0x80 != 0 else { throw .damaged("no packet begins at byte \(position - 1)") }
            if header & 0x40 == 0 {
                tags.append(header >> 2 & 0x0f)
                let width = [1, 2, 4, 0][Int(header & 3)]
                // Old packets of indeterminate length reach to the end.
                guard width > 0 else { return tags }
                position += try number(position, width) + width
            } else {
                tags.append(header & 0x3f)
                var isPartial = true
                while isPartial {
                    let first = try number(position, 1)
                    position += 1
                    isPartial = false
                    switch first {
                    case 0..<192: position += first
                    case 192..<224:
                        position += (first - 192) << 8 + (try number(position, 1)) + 192 + 1
                    case 255: position += try number(position, 4) + 4
                    default:
                        isPartial = true
                        position += 1 << (first & 0x1f)
                    }
                    guard position <= message.count else { throw .truncated }
                }
            }
            guard position <= message.count else { throw .truncated }
        }
        return tags
    }
}
