// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// The names in a file of `NAME=value` lines; of the values nothing is kept. Calls block.
enum EnvironmentNames {
    /// Names of the variables that a file sets, sorted, each once.
    ///
    /// - Throws: `Failure(.localInput)` naming the file.
    static func read(_ path: String) throws -> [String] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure(.localInput, "unable to open '\(path)': \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        // No environment is larger; what else calls itself one is not read on.
        while text.count < 4 << 20 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw Failure(.localInput, "unable to read '\(path)': \(String(cString: strerror(errno)))")
            }
            if count == 0 { break }
            text.append(contentsOf: buffer[..<count])
        }
        return names(in: text)
    }

    /// Names in text as shells, systemd and compose read it: comments, `export`, blanks and quoted values of several lines.
    static func names(in text: [UInt8]) -> [String] {
        var found: Set<String> = []
        var quote: UInt8 = 0
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if quote != 0 {
                // Within a value of several lines nothing is a name.
                quote = Self.stillOpen(after: line[...], quote)
                continue
            }
            var rest = line.drop { $0 == 32 || $0 == 9 }
            if rest.starts(with: Array("export ".utf8)) { rest = rest.dropFirst(7).drop { $0 == 32 || $0 == 9 } }
            guard rest.first != UInt8(ascii: "#"), let equal = rest.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = rest[..<equal].reversed().drop { $0 == 32 || $0 == 9 }.reversed()
            guard !name.isEmpty, name.allSatisfy(isNameByte) else { continue }
            found.insert(String(decoding: name, as: UTF8.self))
            let value = rest[(equal + 1)...]
            if let first = value.first, first == UInt8(ascii: "\"") || first == UInt8(ascii: "'") {
                quote = Self.stillOpen(after: value.dropFirst(), first)
            }
        }
        return found.sorted()
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || (byte >= 48 && byte <= 57)
            || [95, 46, 45].contains(byte)
    }

    /// The quote that is still open after these bytes; 0: none.
    private static func stillOpen(after bytes: ArraySlice<UInt8>, _ quote: UInt8) -> UInt8 {
        var isEscaped = false
        for byte in bytes {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                isEscaped = true
            } else if byte == quote {
                return 0
            }
        }
        return quote
    }
}
