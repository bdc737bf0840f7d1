// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization

/// Looks into a tar while it passes by: where its files are, how many lines they have, what small ones say, and whether
/// it is whole (two blocks of zeros at its end).
///
/// Understood is what tar programs write for folders of files: ustar headers, GNU long names; pax headers are passed
/// over, since the names that matter here are short.
public final class TarScanner: Sendable {
    /// What is wanted of a file.
    public enum Interest: Sendable {
        case nothing
        /// Its bytes: at most 8 MiB.
        case bytes
        /// The number of its lines.
        case lines
    }

    /// One file of the tar.
    public struct File: Sendable {
        /// Where its bytes begin in the tar.
        public var offset: UInt64
        public var size: UInt64
        public var lines: Int64 = 0
        public var bytes: [UInt8] = []
    }

    private struct State {
        var position: UInt64 = 0
        var header: [UInt8] = []
        var left: UInt64 = 0
        var padding: UInt64 = 0
        var interest = Interest.nothing
        var name = ""
        var longName: String?
        var isLongName = false
        var zeros = 0
        var files: [String: File] = [:]
        var isDamaged = false
    }

    private let state = Mutex(State())
    private let interest: @Sendable (String) -> Interest

    /// - Parameter interest: says by a file's path (without `./`) what is wanted of it.
    public init(_ interest: @escaping @Sendable (String) -> Interest) {
        self.interest = interest
    }

    /// Takes the next bytes of the tar.
    public func take(_ bytes: UnsafeRawBufferPointer) {
        state.withLock { state in
            var position = 0
            while position < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
                let count: Int
                if state.left > 0 {
                    count = takeBody(rest, &state)
                } else if state.padding > 0 {
                    count = Int(min(state.padding, UInt64(rest.count)))
                    state.padding -= UInt64(count)
                } else {
                    count = min(512 - state.header.count, rest.count)
                    state.header.append(contentsOf: rest[..<count])
                }
                position += count
                state.position += UInt64(count)
                if state.header.count == 512 { begin(&state) }
            }
        }
    }

    /// The files that were of interest, by path, once everything was taken.
    ///
    /// - Throws: `Failure(.sourceFailed)` when the tar is not whole or not understood.
    public func finish() throws -> [String: File] {
        try state.withLock { state in
            guard !state.isDamaged, state.zeros >= 2, state.left == 0 else {
                throw Failure(
                    .sourceFailed, "the tar that was read is \(state.isDamaged ? "damaged" : "not whole")",
                    hint: "Look whether something removes files beside the server while they are read.")
            }
            return state.files
        }
    }

    private func begin(_ state: inout State) {
        let header = state.header
        state.header = []
        if header.allSatisfy({ $0 == 0 }) {
            state.zeros += 1
            return
        }
        state.zeros = 0
        guard let size = Self.number(header[124..<136]) else {
            state.isDamaged = true
            return
        }
        let prefix = Self.text(header[345..<500])
        let isUstar = header[257..<262].elementsEqual("ustar".utf8) && header[262] == 0
        var name = Self.text(header[0..<100])
        if isUstar, !prefix.isEmpty { name = "\(prefix)/\(name)" }
        state.left = size
        state.padding = (512 - size % 512) % 512
        state.isLongName = header[156] == UInt8(ascii: "L")
        state.interest = .nothing
        if state.isLongName {
            state.longName = ""
        } else if [0, UInt8(ascii: "0")].contains(header[156]) {
            name = state.longName ?? name
            state.longName = nil
            state.name = name.droppingPrefix("./") ?? name
            state.interest = interest(state.name)
            if state.interest != .nothing { state.files[state.name] = File(offset: state.position, size: size) }
        } else if header[156] != UInt8(ascii: "x"), header[156] != UInt8(ascii: "g") {
            state.longName = nil
        }
    }

    private func takeBody(_ bytes: UnsafeRawBufferPointer, _ state: inout State) -> Int {
        let count = Int(min(state.left, UInt64(bytes.count)))
        let part = bytes[..<count]
        if state.isLongName {
            state.longName = (state.longName ?? "") + Self.text(Array(part)[...])
        } else {
            switch state.interest {
            case .nothing: break
            case .lines:
                let lines = part.reduce(Int64(0)) { $0 + ($1 == 10 ? 1 : 0) }
                state.files[state.name]?.lines += lines
                // A last line without its end is one all the same.
                if state.left == UInt64(count), part.last != 10 { state.files[state.name]?.lines += 1 }
            case .bytes:
                if (state.files[state.name]?.bytes.count ?? 0) + count <= 8 << 20 {
                    state.files[state.name]?.bytes.append(contentsOf: part)
                }
            }
        }
        state.left -= UInt64(count)
        return count
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Octal digits or, for large files, the number itself after a byte with its highest bit set.
    private static func number(_ field: ArraySlice<UInt8>) -> UInt64? {
        if let first = field.first, first & 0x80 != 0 {
            return field.dropFirst().suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        let digits = field.filter { $0 != 0 && $0 != 32 }
        guard !digits.isEmpty, digits.allSatisfy({ $0 >= 48 && $0 < 56 }) else { return nil }
        return digits.reduce(UInt64(0)) { $0 << 3 | UInt64($1 - 48) }
    }
}
