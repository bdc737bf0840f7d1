// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

/// Hands an archive on as it comes out of pg_dump, follows its structure to the end, and makes an unchanged database give
/// the same bytes every night.
///
/// The only thing that differs between two archives of the same state is the creation time in the header, which pg_restore
/// only prints. It is set to the start of 2000, so that an unchanged night costs nothing to store.
final class ArchiveStream: Sendable {
    private struct State {
        var scanner = ArchiveScanner()
        /// The beginning, held back until the header has been read.
        var head: [UInt8]? = []
        var length: UInt64 = 0
    }

    private static let headLimit = 1 << 20
    private let sink: any ByteSink
    private let state = Mutex(State())

    init(_ sink: any ByteSink) {
        self.sink = sink
    }

    /// Takes the next bytes; called in order, by one thread at a time.
    func take(_ bytes: UnsafeRawBufferPointer) throws {
        let head: [UInt8]? = try state.withLock { state in
            state.length += UInt64(bytes.count)
            try state.scanner.take(bytes)
            guard state.head != nil else { return nil }
            state.head?.append(contentsOf: bytes)
            let isRead = state.scanner.creationTime != nil || !state.scanner.isKnown
            guard isRead || state.head?.count ?? 0 > Self.headLimit else { return [] }
            defer { state.head = nil }
            var head = state.head ?? []
            if let range = state.scanner.creationTime { Self.setCreationTime(in: &head, range) }
            return head
        }
        if let head {
            if !head.isEmpty { try sink.write(head) }
        } else {
            try sink.write(bytes)
        }
    }

    /// Proves that the archive is whole.
    ///
    /// - Returns: the bytes handed on, and what the archive sets sequences to.
    /// - Throws: `Failure(.sourceFailed)` when it is cut.
    func finish() throws -> (StreamEnd, ArchiveScanner) {
        try state.withLock { state in
            try state.scanner.finish()
            guard state.head == nil else { throw Failure(.sourceFailed, "pg_dump wrote no archive") }
            return (StreamEnd(length: state.length), state.scanner)
        }
    }

    /// Second, minute, hour, day, month from 0, year from 1900, daylight saving: a sign byte and the number each.
    private static func setCreationTime(in head: inout [UInt8], _ range: Range<Int>) {
        guard range.upperBound <= head.count, range.count % 7 == 0 else { return }
        let width = range.count / 7
        for (index, value) in [UInt8(0), 0, 0, 1, 0, 100, 0].enumerated() {
            let start = range.lowerBound + index * width
            for offset in 0..<width { head[start + offset] = offset == 1 ? value : 0 }
        }
    }
}
