// SPDX-License-Identifier: Apache-2.0

extension MemberTable {
    /// The raw path of its stored form (see `display`).
    ///
    /// - Throws: `Failure(.integrity)` for a broken escape or an empty path.
    public static func path(escaped text: some Collection<UInt8>) throws -> [UInt8] {
        var path: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                path.append(byte)
                continue
            }
            guard rest.popFirst() == UInt8(ascii: "x"), let high = digit(rest.popFirst()),
                let low = digit(rest.popFirst())
            else { throw Failure(.integrity, "a path in a list is damaged") }
            path.append(high << 4 | low)
        }
        guard !path.isEmpty else { throw Failure(.integrity, "a path in a list is empty") }
        return path
    }

    private static func digit(_ byte: UInt8?) -> UInt8? {
        switch byte {
        case .some(let byte) where byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case .some(let byte) where byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
