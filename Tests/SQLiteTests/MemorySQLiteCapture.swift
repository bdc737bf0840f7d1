// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization

/// Keeps captured streams in memory.
final class MemorySQLiteCapture: CaptureSink {
    struct Captured: Sendable {
        var fileName: String
        var bytes: [UInt8]
    }

    private let captured = Mutex<[String: Captured]>([:])

    var streams: [String: Captured] { captured.withLock { $0 } }

    func raw(
        _ name: String, fileName: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink) async throws -> StreamEnd
    ) async throws -> StreamReceipt {
        let bytes = SharedBytes()
        let end = try await body(ClosureSink { chunk in bytes.append(chunk) })
        let all = bytes.all
        guard end.length == UInt64(all.count) else { throw Failure(.sourceFailed, "claimed another length") }
        captured.withLock { $0[name] = Captured(fileName: fileName, bytes: all) }
        return StreamReceipt(length: end.length, sha256: .of(all))
    }

    func tree(
        _ name: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink, TreeBase?) async throws -> TreeEnd
    ) async throws -> StreamReceipt {
        throw Failure(.internalError, "no trees here")
    }
}

final class SharedBytes: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    var all: [UInt8] { bytes.withLock { $0 } }

    func append(_ chunk: UnsafeRawBufferPointer) { bytes.withLock { $0.append(contentsOf: chunk) } }
}

/// A bundle's stream in memory.
struct MemoryStream: StoredStream {
    var name: String
    var fileName: String
    var bytes: [UInt8]

    var kind: StreamKind { .raw }
    var storage: StreamStorage { .full }
    var receipt: StreamReceipt { StreamReceipt(length: UInt64(bytes.count), sha256: .of(bytes)) }
    var members: MemberTable { MemberTable() }
    var deletions: [[UInt8]] { [] }
    var base: (any StoredStream)? { nil }

    func read(
        _ range: Range<UInt64>?, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        let part = range.map { Array(bytes[Int($0.lowerBound)..<Int($0.upperBound)]) } ?? bytes
        try await Blocking.run {
            for start in stride(from: 0, to: part.count, by: 1 << 20) {
                try part[start..<min(start + 1 << 20, part.count)].withUnsafeBytes { try consume($0) }
            }
        }
    }
}

/// A journal in memory that can end the process, so to speak, at the nth record.
actor MemoryJournal: RestoreJournal {
    struct Killed: Error {}

    private(set) var recorded: JSONValue = .null
    private(set) var notes: [String] = []
    private var left: Int?
    private(set) var count = 0

    func dieAtRecord(_ number: Int?) { left = number }

    func record(_ value: JSONValue) throws {
        if let before = left {
            left = before - 1
            if before <= 1 { throw Killed() }
        }
        count += 1
        recorded = value
    }

    func note(_ message: String) { notes.append(message) }
}

struct LiteralSecrets: SecretResolver {
    func resolve(_ reference: SecretReference) async throws -> String {
        guard case .literal(let text) = reference.kind else { throw Failure(.secretUnavailable, "no such secret") }
        return text
    }
}
