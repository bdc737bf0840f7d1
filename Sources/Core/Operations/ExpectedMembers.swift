// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

/// Members of an export read in the one order they may have; any other name, size or order is an error.
final class ExpectedMembers: Sendable {
    private let archive: any ImportArchive
    private let state = Mutex((folder: "", sums: [UInt8]()))

    init(_ archive: any ImportArchive) {
        self.archive = archive
    }

    /// The folder all members are in; empty before `open`.
    var folder: String { state.withLock { $0.folder } }

    /// Reads the first member, which tells that this is an export and of which bundle.
    func open() async throws {
        guard let member = try await archive.next(), member.path.hasSuffix("/\(ExportLayout.readme)"),
            let id = BundleID(String(member.path.dropLast(ExportLayout.readme.count + 1)))
        else {
            throw Failure(
                .integrity, "the file is no export of salvor: it does not begin with one's README.txt",
                hint: "Only files of 'salvor export' can be imported.")
        }
        state.withLock { $0.folder = id.text }
        _ = try await content(ExportLayout.readme, member.size, atMost: 16 << 20)
    }

    /// A small member, whole.
    func bytes(_ path: String, atMost limit: Int, exactly size: UInt64? = nil) async throws -> [UInt8] {
        try await content(path, try await expect(path, size), atMost: limit)
    }

    /// A member of any size.
    func copy(_ path: String, exactly size: UInt64, to sink: any ByteSink) async throws {
        _ = try await expect(path, size)
        let hash = StreamHash()
        try await archive.copy(
            to: ClosureSink { bytes in
                hash.update(bytes)
                try sink.write(bytes)
            })
        note(path, hash.receipt.sha256)
    }

    /// Reads the sums, which must be those of all that was read, and the end.
    func finish() async throws {
        let expected = state.withLock { $0.sums }
        let size = try await expect(ExportLayout.sums, nil)
        guard size == UInt64(expected.count),
            try await content(ExportLayout.sums, size, atMost: expected.count) == expected
        else { throw Self.damage("a file does not have the digest that \(ExportLayout.sums) says") }
        guard try await archive.next() == nil else { throw Self.damage("there is a member too many") }
    }

    static func damage(_ what: String) -> Failure {
        Failure(
            .integrity, "the export is damaged, or was not made by salvor: \(what)",
            hint: "Ask for the file again; nothing was imported.")
    }

    /// Goes to the next member, which must be that one; gives its size.
    private func expect(_ path: String, _ size: UInt64?) async throws -> UInt64 {
        guard let member = try await archive.next() else { throw Self.damage("'\(path)' is missing") }
        guard member.path == "\(folder)/\(path)" else {
            throw Self.damage("'\(MemberTable.display(Array(member.path.utf8)))' is where '\(path)' should be")
        }
        guard size.map({ $0 == member.size }) ?? true else {
            throw Self.damage("'\(path)' has \(member.size) bytes instead of \(size ?? 0)")
        }
        return member.size
    }

    private func content(_ path: String, _ size: UInt64, atMost limit: Int) async throws -> [UInt8] {
        guard size <= UInt64(limit) else { throw Self.damage("'\(path)' has \(size) bytes") }
        let gathered = GatheringSink()
        try await archive.copy(to: gathered)
        let bytes = gathered.bytes
        note(path, SHA256Digest.of(bytes))
        return bytes
    }

    private func note(_ path: String, _ digest: SHA256Digest) {
        state.withLock { $0.sums += ExportLayout.sum(path, digest) }
    }
}

private final class GatheringSink: ByteSink {
    private let gathered = Mutex<[UInt8]>([])

    var bytes: [UInt8] { gathered.withLock { $0 } }

    func write(_ bytes: UnsafeRawBufferPointer) throws { gathered.withLock { $0.append(contentsOf: bytes) } }
}
