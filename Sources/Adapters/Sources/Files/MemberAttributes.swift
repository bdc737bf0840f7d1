// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem
import Glibc

/// What the members of a stream have and their list does not tell: extended attributes, ACLs, where links lead, numbers of
/// devices. An extraction notes them as they come by in the archive, and the verification holds the copy against the note.
///
/// Of a value there is its length and half of its digest, so that a million attributes take 32 MB.
struct MemberAttributes: Sendable, Equatable {
    /// One attribute of one member.
    struct Entry: Sendable, Equatable {
        /// Index in the list of the stream that has the member.
        var member: UInt32
        /// Index in `names`.
        var name: UInt32
        var value: ValueMark
    }

    /// Enough of a value to tell another one.
    struct ValueMark: Sendable, Hashable {
        var length: UInt32
        /// The first sixteen bytes of its SHA-256.
        var digest: (UInt64, UInt64)

        init(of value: [UInt8]) {
            self.init(length: UInt32(clamping: value.count), bytes: SHA256Digest.of(value).bytes)
        }

        init(length: UInt32, bytes: some Collection<UInt8>) {
            self.length = length
            func number(_ part: some Collection<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
            digest = (number(bytes.prefix(8)), number(bytes.dropFirst(8).prefix(8)))
        }

        static func == (left: ValueMark, right: ValueMark) -> Bool {
            left.length == right.length && left.digest == right.digest
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(length)
            hasher.combine(digest.0)
        }
    }

    private(set) var names: [[UInt8]] = []
    /// Ascending by member.
    private(set) var own: [Entry] = []
    private(set) var base: [Entry] = []
    /// Values that people can read, as text: ACLs and targets of links, a thousand of them at most.
    private(set) var texts: [ValueMark: String] = [:]
    /// Kinds of attributes (see `AttributeVerification.kind`) that the far file system refused to hold.
    var refused: Set<String> = []
    private var indexes: [[UInt8]: UInt32] = [:]

    init() {}

    /// Notes what a member has.
    mutating func add(_ header: TarHeader, _ origin: EffectiveMembers.Origin, member: Int) {
        for (name, value) in header.unlisted { add(name, ValueMark(of: value), origin, member: member, value) }
    }

    private mutating func add(
        _ name: [UInt8], _ mark: ValueMark, _ origin: EffectiveMembers.Origin, member: Int, _ value: [UInt8]?
    ) {
        let index = indexes[name] ?? UInt32(clamping: names.count)
        if index == names.count {
            names.append(name)
            indexes[name] = index
        }
        let entry = Entry(member: UInt32(clamping: member), name: index, value: mark)
        if origin == .own { own.append(entry) } else { base.append(entry) }
        if let value, texts.count < 1000, texts[mark] == nil { texts[mark] = AttributeText.of(value, named: name) }
    }

    /// The entries of one stream's members, one member after another in their order.
    struct Reader {
        private let entries: [Entry]
        private var next = 0

        init(_ entries: [Entry]) { self.entries = entries }

        /// Those of a member; members must be asked for in ascending order.
        mutating func entries(of member: Int) -> ArraySlice<Entry> {
            while next < entries.count, entries[next].member < member { next += 1 }
            let start = next
            while next < entries.count, entries[next].member == member { next += 1 }
            return entries[start..<next]
        }
    }

    // MARK: Kept between a stage and its verification

    /// Where the note of a restore is.
    static func path(in place: RestorePlace) -> String { "\(place.scratchDirectory)/attributes" }

    /// Writes the note: lines of names, of texts, of entries, and the number of lines at the end. Blocks.
    func write(to path: String) throws {
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw SystemError("make directory", path: Array(directory.utf8))
        }
        let raw = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard raw >= 0 else { throw SystemError("make", path: Array(path.utf8)) }
        let file = Descriptor(owning: raw)
        var lines = 0
        var text: [UInt8] = []
        func put(_ line: String) throws {
            lines += 1
            text += line.utf8
            text.append(UInt8(ascii: "\n"))
            guard text.count > 1 << 18 else { return }
            try text.withUnsafeBytes { try file.write($0, path: path.utf8) }
            text.removeAll(keepingCapacity: true)
        }
        for name in names { try put("n " + Hexadecimal.text(name)) }
        for kind in refused.sorted() { try put("r \(kind)") }
        for (mark, words) in texts { try put("t \(mark.text) \(words)") }
        for (letter, entries) in [("o", own), ("b", base)] {
            for entry in entries { try put("\(letter) \(entry.member) \(entry.name) \(entry.value.text)") }
        }
        try put("e \(lines)")
        try text.withUnsafeBytes { try file.write($0, path: path.utf8) }
    }

    /// Reads a note. Blocks.
    ///
    /// - Throws: `Failure(.stateDamaged)` when it is not there or not whole.
    init(path: String) throws {
        let damage = Failure(
            .stateDamaged, "the note of attributes '\(path)' is gone or damaged",
            hint: "The live system was not touched; start the restore again.")
        guard let file = fopen(path, "re") else { throw damage }
        defer { fclose(file) }
        var (line, room): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { free(line) }
        var (lines, isWhole) = (0, false)
        while case let count = getline(&line, &room, file), count > 0, let line {
            guard !isWhole, line[count - 1] == 10 else { throw damage }
            let text = String(
                decoding: UnsafeRawBufferPointer(start: line, count: count - 1), as: UTF8.self)
            if text == "e \(lines)" { isWhole = true } else if !take(text) { throw damage }
            lines += 1
        }
        guard isWhole else { throw damage }
    }

    /// Takes one line; false when it cannot be read.
    private mutating func take(_ line: String) -> Bool {
        let parts = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        switch (parts.first, parts.count) {
        case ("n", 2):
            guard let name = Hexadecimal.bytes(parts[1]) else { return false }
            indexes[name] = UInt32(clamping: names.count)
            names.append(name)
        case ("r", 2): refused.insert(String(parts[1]))
        case ("t", 4):
            guard let mark = ValueMark(length: parts[1], digest: parts[2]) else { return false }
            texts[mark] = String(parts[3])
        case ("o", 4), ("b", 4):
            let rest = parts[3].split(separator: " ")
            guard let member = UInt32(parts[1]), let name = UInt32(parts[2]), Int(name) < names.count, rest.count == 2,
                let mark = ValueMark(length: rest[0], digest: rest[1])
            else { return false }
            let entry = Entry(member: member, name: name, value: mark)
            if parts[0] == "o" { own.append(entry) } else { base.append(entry) }
        default: return false
        }
        return true
    }
}

extension MemberAttributes.ValueMark {
    fileprivate var text: String {
        "\(length) "
            + [digest.0, digest.1].map { part in
                let digits = String(part, radix: 16)
                return String(repeating: "0", count: 16 - digits.count) + digits
            }.joined()
    }

    fileprivate init?(length: Substring, digest: Substring) {
        guard let length = UInt32(length), digest.utf8.count == 32, let bytes = Hexadecimal.bytes(digest) else {
            return nil
        }
        self.init(length: length, bytes: bytes)
    }
}

/// Bytes as digits.
private enum Hexadecimal {
    static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    static func bytes(_ text: Substring) -> [UInt8]? {
        let values = text.utf8.map { digits.firstIndex(of: $0).map(UInt8.init) }
        guard values.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: values.count, by: 2) {
            guard let high = values[index], let low = values[index + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static let digits = Array("0123456789abcdef".utf8)
}
