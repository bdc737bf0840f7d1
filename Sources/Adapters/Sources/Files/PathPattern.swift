// SPDX-License-Identifier: Apache-2.0
import Domain

/// One glob over raw bytes of a path (docs/sources/files.md has the rules and examples).
///
/// `?` is one byte and `*` any number of bytes within a part; `**` any number of parts (or bytes, slashes included);
/// `\` takes the next byte literally. A leading `/` anchors the pattern at the root of the file system, without one it may
/// begin at any part. A trailing `/` makes it match directories only.
struct PathPattern: Sendable, Equatable {
    private enum Token: Sendable, Equatable {
        case byte(UInt8)
        /// One byte, not a slash.
        case one
        /// Any bytes but slashes.
        case part
        /// Any bytes.
        case all
        /// Nothing, or any number of whole parts with their slashes.
        case parts
    }

    private let tokens: [Token]
    private let directoriesOnly: Bool
    /// Whether only the last part of a path needs to be looked at.
    private let isName: Bool

    /// Reads a pattern.
    ///
    /// - Throws: `Failure(.configuration)` for an empty one or a backslash at the end.
    init(_ text: String) throws {
        var bytes = Array(text.utf8)
        let isDirectory = bytes.count > 1 && bytes.last == UInt8(ascii: "/")
        if isDirectory { bytes.removeLast() }
        let isAnchored = bytes.first == UInt8(ascii: "/")
        if isAnchored { bytes.removeFirst() }
        guard !bytes.isEmpty else { throw Failure(.configuration, "the pattern '\(text)' is empty") }
        var tokens: [Token] = isAnchored ? [] : [.parts]
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "?"): tokens.append(.one)
            case UInt8(ascii: "*"):
                guard at < bytes.count, bytes[at] == UInt8(ascii: "*") else {
                    tokens.append(.part)
                    continue
                }
                while at < bytes.count, bytes[at] == UInt8(ascii: "*") { at += 1 }
                let startsPart = tokens.isEmpty || tokens.last == .parts || tokens.last == .byte(UInt8(ascii: "/"))
                if startsPart, at < bytes.count, bytes[at] == UInt8(ascii: "/") {
                    at += 1
                    if tokens.last != .parts { tokens.append(.parts) }
                } else {
                    tokens.append(.all)
                }
            case UInt8(ascii: "\\"):
                guard at < bytes.count else {
                    throw Failure(.configuration, "the pattern '\(text)' ends in a backslash")
                }
                tokens.append(.byte(bytes[at]))
                at += 1
            default: tokens.append(.byte(byte))
            }
        }
        isName =
            tokens.first == .parts && !tokens.contains(.byte(UInt8(ascii: "/"))) && !tokens.contains(.all)
            && !tokens.dropFirst().contains(.parts)
        self.tokens = isName ? Array(tokens.dropFirst()) : tokens
        directoriesOnly = isDirectory
    }

    /// Whether `path` (without leading slash) matches as a whole.
    func matches(_ path: UnsafeBufferPointer<UInt8>, isDirectory: Bool) -> Bool {
        if directoriesOnly, !isDirectory { return false }
        let start = isName ? (path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0) : 0
        return tokens.withUnsafeBufferPointer { matches($0, 0, path, start) }
    }

    /// Whether `path` or a directory it is in matches.
    func matchesWithin(_ path: UnsafeBufferPointer<UInt8>, isDirectory: Bool) -> Bool {
        for index in path.indices where path[index] == UInt8(ascii: "/") {
            if matches(UnsafeBufferPointer(rebasing: path[..<index]), isDirectory: true) { return true }
        }
        return matches(path, isDirectory: isDirectory)
    }

    private func matches(
        _ tokens: UnsafeBufferPointer<Token>, _ first: Int, _ path: UnsafeBufferPointer<UInt8>, _ start: Int
    ) -> Bool {
        var (token, at) = (first, start)
        while token < tokens.count {
            switch tokens[token] {
            case .byte(let byte):
                guard at < path.count, path[at] == byte else { return false }
                at += 1
            case .one:
                guard at < path.count, path[at] != UInt8(ascii: "/") else { return false }
                at += 1
            case .part, .all:
                let crosses = tokens[token] == .all
                while true {
                    if matches(tokens, token + 1, path, at) { return true }
                    guard at < path.count, crosses || path[at] != UInt8(ascii: "/") else { return false }
                    at += 1
                }
            case .parts:
                while true {
                    if matches(tokens, token + 1, path, at) { return true }
                    while at < path.count, path[at] != UInt8(ascii: "/") { at += 1 }
                    guard at < path.count else { return false }
                    at += 1
                }
            }
            token += 1
        }
        return at == path.count
    }
}

/// Several patterns, of which one must match.
struct PathPatterns: Sendable, Equatable {
    private let patterns: [PathPattern]

    init(_ texts: [String]) throws {
        patterns = try texts.map(PathPattern.init)
    }

    var isEmpty: Bool { patterns.isEmpty }

    func match(_ path: UnsafeBufferPointer<UInt8>, isDirectory: Bool) -> Bool {
        for pattern in patterns where pattern.matches(path, isDirectory: isDirectory) { return true }
        return false
    }

    /// Whether one matches `path` or a directory it is in.
    func matchWithin(_ path: UnsafeBufferPointer<UInt8>, isDirectory: Bool) -> Bool {
        for pattern in patterns where pattern.matchesWithin(path, isDirectory: isDirectory) { return true }
        return false
    }
}
