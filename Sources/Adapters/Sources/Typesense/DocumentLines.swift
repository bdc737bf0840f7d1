// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization

/// Cuts bytes into lines.
struct LineCutter: Sendable {
    private var rest: [UInt8] = []

    /// The lines that `bytes` end, in order, without their ends.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = bytes.startIndex
        while let end = bytes[start...].firstIndex(of: 10) {
            rest.append(contentsOf: bytes[start..<end])
            lines.append(rest)
            rest.removeAll(keepingCapacity: true)
            start = end + 1
        }
        rest.append(contentsOf: bytes[start...])
        return lines
    }

    /// What came after the last end of a line.
    mutating func last() -> [UInt8]? {
        defer { rest = [] }
        return rest.isEmpty ? nil : rest
    }
}

/// Counts documents and digests them without regard to their order, which servers do not keep.
final class DocumentTally: Sendable {
    private struct State {
        var cutter = LineCutter()
        var count: Int64 = 0
        var sums: [UInt64] = [0, 0, 0, 0]

        mutating func add(_ line: [UInt8]) {
            guard !line.isEmpty else { return }
            count += 1
            let bytes = SHA256Digest.of(line).bytes
            for index in 0..<4 {
                let word = bytes[(index * 8)..<(index * 8 + 8)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                sums[index] &+= word
            }
        }
    }

    private let state = Mutex(State())

    func take(_ bytes: UnsafeRawBufferPointer) {
        state.withLock { state in
            for line in state.cutter.take(bytes) { state.add(line) }
        }
    }

    /// The count and the digest of all, once everything was taken.
    func finish() -> (count: Int64, digest: String) {
        state.withLock { state in
            if let line = state.cutter.last() { state.add(line) }
            let words = state.sums.map { String($0, radix: 16) }
            return (state.count, words.map { String(repeating: "0", count: 16 - $0.count) + $0 }.joined())
        }
    }
}

/// The lines with which a server answers each document: `{"success":true}`, or why it was refused.
final class ImportAnswers: Sendable {
    private let state = Mutex((cutter: LineCutter(), taken: Int64(0), refusal: String?.none))

    var taken: Int64 { state.withLock { $0.taken } }

    /// The first refusal's reason, without the document.
    var refusal: String? { state.withLock { $0.refusal } }

    func take(_ bytes: UnsafeRawBufferPointer) {
        state.withLock { state in
            for line in state.cutter.take(bytes) { Self.look(line, &state.taken, &state.refusal) }
        }
    }

    func finish() {
        state.withLock { state in
            if let line = state.cutter.last() { Self.look(line, &state.taken, &state.refusal) }
        }
    }

    private static func look(_ line: [UInt8], _ taken: inout Int64, _ refusal: inout String?) {
        guard !line.isEmpty else { return }
        // A line that is no JSON is no success.
        let answer = try? JSONDecoder().decode(JSONValue.self, from: Data(line))
        if answer?["success"]?.bool == true {
            taken += 1
        } else if refusal == nil {
            refusal = answer?["error"]?.string ?? "the answer is no JSON"
        }
    }
}
