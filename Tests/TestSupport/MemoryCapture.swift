// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain
import Synchronization

/// A capture sink that keeps every stream in memory, holds adapters to their promises (claimed length, distinct names)
/// and serves the streams back for a restore.
public final class MemoryCapture: CaptureSink {
    private let base: MemoryCapture?
    private let kept = Mutex<[String: MemoryStream]>([:])

    /// - Parameter base: the capture that incrementals may refer to; nil: every tree is a full.
    public init(base: MemoryCapture? = nil) {
        self.base = base
    }

    /// All finished streams, in order of name.
    public var streams: [any StoredStream] {
        kept.withLock { streams in streams.keys.sorted().compactMap { streams[$0] } }
    }

    /// The bytes of a finished stream; nil when there is none of that name.
    public func bytes(_ name: String) -> [UInt8]? { kept.withLock { $0[name]?.bytes } }

    /// The finished stream of that name; nil when there is none.
    public func stream(_ name: String) -> MemoryStream? { kept.withLock { $0[name] } }

    /// Puts `stream` in place of the one of the same name, to restore from damaged or invented bytes.
    public func replace(_ stream: MemoryStream) { kept.withLock { $0[stream.name] = stream } }

    public func raw(
        _ name: String, fileName: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink) async throws -> StreamEnd
    ) async throws -> StreamReceipt {
        let sink = MemorySink()
        let end = try await body(sink)
        try check(name, claimed: end.length, arrived: sink.bytes.count)
        return keep(MemoryStream(name: name, kind: .raw, fileName: fileName, bytes: sink.bytes))
    }

    public func tree(
        _ name: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink, TreeBase?) async throws -> TreeEnd
    ) async throws -> StreamReceipt {
        let sink = MemorySink()
        let full = base?.stream(name)
        let bundle = BundleID(plan: "base", started: Timestamp(seconds: 0), suffix: "aaaaaa")
        let end = try await body(sink, full.map { TreeBase(bundle: bundle, members: $0.members) })
        try check(name, claimed: end.length, arrived: sink.bytes.count)
        return keep(
            MemoryStream(
                name: name, kind: .tar, storage: full == nil ? .full : .incremental, fileName: "\(name).tar",
                bytes: sink.bytes, members: end.members, deletions: end.deletions, base: full))
    }

    private func check(_ name: String, claimed: UInt64, arrived: Int) throws {
        guard SafeName.isValid(name) else { throw Failure(.internalError, "'\(name)' is not a safe name") }
        guard claimed == UInt64(arrived) else {
            throw Failure(.sourceFailed, "stream '\(name)' claims \(claimed) bytes, \(arrived) arrived")
        }
        guard kept.withLock({ $0[name] }) == nil else {
            throw Failure(.internalError, "the stream '\(name)' was written twice")
        }
    }

    private func keep(_ stream: MemoryStream) -> StreamReceipt {
        kept.withLock { $0[stream.name] = stream }
        return stream.receipt
    }
}

/// A stream whose bytes are in memory.
public struct MemoryStream: StoredStream {
    public var name: String
    public var kind: StreamKind
    public var storage: StreamStorage
    public var fileName: String
    public var bytes: [UInt8]
    public var members: MemberTable
    public var deletions: [[UInt8]]
    public var base: (any StoredStream)?
    public let receipt: StreamReceipt

    public init(
        name: String, kind: StreamKind, storage: StreamStorage = .full, fileName: String, bytes: [UInt8],
        members: MemberTable = MemberTable(), deletions: [[UInt8]] = [], base: (any StoredStream)? = nil
    ) {
        self.name = name
        self.kind = kind
        self.storage = storage
        self.fileName = fileName
        self.bytes = bytes
        self.members = members
        self.deletions = deletions
        self.base = base
        receipt = StreamReceipt(length: UInt64(bytes.count), sha256: SHA256Digest.of(bytes))
    }

    public func read(
        _ range: Range<UInt64>?, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        let wanted = range.map { Int($0.lowerBound)..<Int($0.upperBound) } ?? bytes.indices
        guard wanted.upperBound <= bytes.count else {
            throw Failure(.integrity, "the stream '\(name)' ends before byte \(wanted.upperBound)")
        }
        try await Blocking.run { [bytes] in
            try bytes.withUnsafeBytes { whole in
                var start = wanted.lowerBound
                // Pieces that divide nothing evenly, so that consumers must cope with any boundary.
                while start < wanted.upperBound {
                    let end = min(start + 99_991, wanted.upperBound)
                    try consume(UnsafeRawBufferPointer(rebasing: whole[start..<end]))
                    start = end
                }
            }
        }
    }
}

private final class MemorySink: ByteSink {
    private let kept = Mutex<[UInt8]>([])

    var bytes: [UInt8] { kept.withLock { $0 } }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        kept.withLock { $0.append(contentsOf: bytes) }
    }
}

/// A journal in memory that can fail at a given record, as if salvor had been killed there.
public final class MemoryJournal: RestoreJournal {
    private struct State {
        var value = JSONValue.null
        var notes: [String] = []
        var records = 0
    }

    /// What a journal throws that was told to fail.
    public struct Killed: Error {}

    private let state = Mutex(State())
    private let limit: Int?

    /// - Parameters:
    ///   - value: what was recorded before.
    ///   - limit: how many records succeed; later ones throw `Killed`. nil: all succeed.
    public init(_ value: JSONValue = .null, failingAfter limit: Int? = nil) {
        self.limit = limit
        state.withLock { $0.value = value }
    }

    public var recorded: JSONValue { get async { state.withLock { $0.value } } }

    /// What people were told.
    public var notes: [String] { state.withLock { $0.notes } }

    /// How many records were made.
    public var recordCount: Int { state.withLock { $0.records } }

    public func record(_ value: JSONValue) async throws {
        try state.withLock {
            if let limit, $0.records >= limit { throw Killed() }
            $0.records += 1
            $0.value = value
        }
    }

    public func note(_ message: String) async { state.withLock { $0.notes.append(message) } }
}
