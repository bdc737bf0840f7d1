// SPDX-License-Identifier: Apache-2.0
import Archiving
import Domain
import FileSystem
import Glibc

/// Holds what staged files have besides what their list tells against what the archive says.
final class AttributeVerification {
    /// What is to be there: for every member of the list that is verified, in its order.
    struct Expected: Sendable {
        var attributes: MemberAttributes
        /// By place in that list.
        var entries: [MemberAttributes.Entry] = []

        /// Those of the members that were chosen, which must be added in order.
        mutating func add(_ found: ArraySlice<MemberAttributes.Entry>, at place: Int) {
            for var entry in found {
                entry.member = UInt32(clamping: place)
                entries.append(entry)
            }
        }
    }

    /// What a file that is not on this host has, by name: of those files only that were looked at.
    typealias Far = [[UInt8]: [[UInt8]: MemberAttributes.ValueMark]]

    /// At most this many of what cannot be held are told one by one.
    private static let limit = 20

    /// Words about attributes that the file system, or the user's rights, cannot hold.
    private(set) var notHeld: [String] = []
    private(set) var notHeldCount = 0
    private let expected: Expected
    private var reader: MemberAttributes.Reader
    private var holdsList = true
    private let isRoot: Bool
    /// Nil: files are here.
    private let far: Far?

    init(_ expected: Expected, isRoot: Bool, far: Far? = nil) {
        self.expected = expected
        reader = MemberAttributes.Reader(expected.entries)
        self.isRoot = isRoot
        self.far = far
    }

    /// What is told of all that is not held.
    var summary: [String] {
        guard notHeldCount > 0 else { return [] }
        let more = notHeldCount - notHeld.count
        return notHeld + (more > 0 ? ["and \(more) more attributes that cannot be held there"] : [])
    }

    /// Compares one file, the member at `place` of the list; files must come in order.
    ///
    /// - Parameter descriptor: the open file or directory; nil for what is not opened.
    /// - Returns: false when the file has an access ACL that cannot be held there.
    func compare(
        _ file: WalkedFile, _ path: [UInt8], place: Int, descriptor: Int32?, differ: (String, String, String) -> Void
    ) throws -> Bool {
        holdsList = true
        let wanted = reader.entries(of: place)
        if let far {
            for entry in wanted {
                judge(entry, path, far[path]?[name(entry)], text: nil, differ) {
                    expected.attributes.refused.contains(Self.kind($0))
                }
            }
            return holdsList
        }
        let target = descriptor.map(ExtendedAttributes.Target.descriptor) ?? .entry(file.name, in: file.directory)
        let names = try ExtendedAttributes.names(target, path: path)
        // Nearly every file ends here.
        if names.isEmpty, wanted.isEmpty { return true }
        for entry in wanted {
            var cannotHold = false
            var value: [UInt8]?
            do { value = try self.value(name(entry), target, file, path) } catch let error as SystemError
                where error.code == EOPNOTSUPP
            { cannotHold = true }
            judge(
                entry, path, value.map(MemberAttributes.ValueMark.init(of:)),
                text: value.flatMap { AttributeText.of($0, named: name(entry)) }, differ
            ) { _ in cannotHold }
        }
        for name in names where AttributeName.isOnPurpose(name) {
            if wanted.contains(where: { self.name($0) == name }) { continue }
            let value = try ExtendedAttributes.value(name, of: target, path: path) ?? []
            differ(AttributeText.name(name), "none", AttributeText.of(value, named: name) ?? "\(value.count) bytes")
        }
        return holdsList
    }

    private func name(_ entry: MemberAttributes.Entry) -> [UInt8] { expected.attributes.names[Int(entry.name)] }

    /// What tells attributes apart that a file system has all of or none: `user`, `trusted`, `security`, `ACL`.
    static func kind(_ name: [UInt8]) -> String {
        if name == AttributeName.accessList || name == AttributeName.defaultList { return "ACL" }
        return String(decoding: name.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)
    }

    private func value(
        _ name: [UInt8], _ target: ExtendedAttributes.Target, _ file: WalkedFile, _ path: [UInt8]
    ) throws -> [UInt8]? {
        switch name {
        case AttributeName.linkTarget: try LinkTarget.read(file.name, in: file.directory, path: file.path)
        case AttributeName.device: TarHeader(path: path, status: file.status).map(\.deviceNumber)
        default: try ExtendedAttributes.value(name, of: target, path: path)
        }
    }

    private func judge(
        _ entry: MemberAttributes.Entry, _ path: [UInt8], _ found: MemberAttributes.ValueMark?, text: String?,
        _ differ: (String, String, String) -> Void, cannotHold: ([UInt8]) -> Bool
    ) {
        guard found != entry.value else { return }
        let name = name(entry)
        let what = AttributeText.name(name)
        func words(_ mark: MemberAttributes.ValueMark) -> String {
            expected.attributes.texts[mark] ?? "\(mark.length) bytes (\(String(mark.digest.0 >> 32, radix: 16)))"
        }
        guard let found else {
            if cannotHold(name) {
                if name == AttributeName.accessList { holdsList = false }
                return note("the file system cannot hold the \(what) of '/\(PathText.display(path))'")
            }
            if !isRoot, AttributeName.isPrivileged(name) {
                return note("only root can set the \(what) of '/\(PathText.display(path))'")
            }
            return differ(what, words(entry.value), "none")
        }
        differ(what, words(entry.value), text ?? words(found))
    }

    private func note(_ words: String) {
        notHeldCount += 1
        if notHeld.count < Self.limit { notHeld.append(words) }
    }
}

/// Where symbolic links lead.
enum LinkTarget {
    /// The target of a link; nil when it is gone or none any more.
    static func read(
        _ name: UnsafePointer<CChar>, in directory: Int32, path: UnsafeBufferPointer<UInt8>
    ) throws -> [UInt8]? {
        // PATH_MAX bounds a link's target (path_resolution(7)).
        try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
            guard let start = buffer.baseAddress else { return nil }
            let count = readlinkat(directory, name, start, buffer.count)
            if count < 0, errno == ENOENT || errno == EINVAL { return nil }
            guard count >= 0 else { throw SystemError("read link", path: path) }
            return buffer[..<count].map(UInt8.init(bitPattern:))
        }
    }
}
