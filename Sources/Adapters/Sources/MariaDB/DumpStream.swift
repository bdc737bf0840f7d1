// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

/// The output of a dump program on its way: counted, and with an eye on its first lines and its last one.
final class DumpStream: Sendable {
    /// What a dump of both products ends with when it is whole.
    static let endMark = Array("-- Dump completed".utf8)
    private static let headLimit = 32 << 10

    private struct State {
        var scanner = DumpScanner()
        var head: [UInt8] = []
        var tail: [UInt8] = []
        var length: UInt64 = 0
    }

    private let state = Mutex(State())
    private let output: (any ByteSink)?
    private let counts: Bool

    /// - Parameters:
    ///   - output: where the text goes; nil: it is only looked at.
    ///   - counts: whether it is a dump of tables, whose rows are counted.
    init(_ output: (any ByteSink)?, counts: Bool) {
        self.output = output
        self.counts = counts
    }

    /// Takes the next bytes, on a thread that may block.
    func take(_ bytes: UnsafeRawBufferPointer) throws {
        try output?.write(bytes)
        try state.withLock { state in
            state.length += UInt64(bytes.count)
            if state.head.count < Self.headLimit { state.head.append(contentsOf: bytes.prefix(Self.headLimit)) }
            state.tail.append(contentsOf: bytes.suffix(128))
            if state.tail.count > 512 { state.tail.removeFirst(state.tail.count - 128) }
            if counts { try state.scanner.take(bytes) }
        }
    }

    /// What passed, once it is certain that it is all there.
    ///
    /// - Throws: `Failure(.sourceFailed)` when the last line is missing, whatever the program's exit status.
    func finish(about object: String) throws -> (end: StreamEnd, scanner: DumpScanner, position: String?) {
        try state.withLock { state in
            let tail = state.tail.reversed().drop { $0 <= 0x20 }.reversed()
            guard Array(tail).suffix(Self.endMark.count).elementsEqual(Self.endMark), state.scanner.isComplete else {
                throw Failure(
                    .sourceFailed, "the dump of \(object) ends before its last line, after \(state.length) bytes",
                    hint: "Look for a full disk or a killed program beside the server, then run the backup again.")
            }
            let head = String(decoding: state.head, as: UTF8.self)
            if head.contains("-- insufficient privileges to") {
                throw Failure(
                    .sourceDenied, "the user may not see all of \(object)",
                    hint: "Run 'salvor doctor' for the GRANT statement that is missing.")
            }
            return (StreamEnd(length: state.length), state.scanner, Self.position(in: head))
        }
    }

    /// The place in the binary log that the dump names in its first lines, such as `bin.000001:12827`.
    static func position(in head: String) -> String? {
        for line in head.split(separator: "\n").prefix(80) {
            guard line.contains("CHANGE MASTER TO") || line.contains("CHANGE REPLICATION SOURCE TO") else { continue }
            let words = line.split { " ,;='".contains($0) }.map(String.init)
            func after(_ names: String...) -> String? {
                names.compactMap { name in
                    words.firstIndex(of: name).flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
                }
                .first
            }
            if let file = after("MASTER_LOG_FILE", "SOURCE_LOG_FILE"),
                let at = after("MASTER_LOG_POS", "SOURCE_LOG_POS")
            {
                return "\(file):\(at)"
            }
        }
        return nil
    }
}
