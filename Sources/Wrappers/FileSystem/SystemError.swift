// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A system call that failed: which one, on what, and why.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call, such as `openat`.
    public let call: String
    /// The path for people.
    public let path: String
    /// The value of `errno`.
    public let code: Int32

    /// Describes a failed call; `code` nil takes `errno`, so make it before any other call.
    public init(_ call: String, path: some Sequence<UInt8>, code: Int32? = nil) {
        self.code = code ?? errno
        self.call = call
        self.path = PathText.display(path)
    }

    /// The reason as the system words it, in lower case as far as it is English.
    public var reason: String { String(cString: strerror(code)).lowercasedFirst }

    public var description: String { "\(call) '\(path)': \(reason)" }
}

/// Paths for people: text stays text, control bytes and bytes that are not UTF-8 become `\xNN`.
public enum PathText {
    /// `path` as printable text.
    public static func display(_ path: some Sequence<UInt8>) -> String {
        let bytes = Array(path)
        let isText = String(validating: bytes, as: UTF8.self) != nil
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            if byte < 0x20 || byte == 0x7f || byte == UInt8(ascii: "\\") || (byte >= 0x80 && !isText) {
                text += [UInt8(ascii: "\\"), UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            } else {
                text.append(byte)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension String {
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}

/// Calls `body` with `bytes` as a C string. The bytes must hold no NUL; what follows one is lost.
public func withCName<Result>(
    _ bytes: some Collection<UInt8>, _ body: (UnsafePointer<CChar>) throws -> Result
) rethrows -> Result {
    try withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count + 1) { buffer in
        var index = 0
        for byte in bytes {
            buffer[index] = CChar(bitPattern: byte)
            index += 1
        }
        buffer[index] = 0
        guard let start = buffer.baseAddress else { preconditionFailure("an allocation of at least one byte") }
        return try body(start)
    }
}
