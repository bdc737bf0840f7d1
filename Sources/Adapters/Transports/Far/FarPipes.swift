// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc
import Synchronization

/// The pipes of a far program: those of the local client, less what the far shell adds.
final class FarPipes: ProgramPipes {
    /// What the far shell says at first.
    enum Beginning: Sendable {
        case started
        /// The far side has no such program.
        case missing
        /// The client ended without a word from the far shell.
        case silent
    }

    private struct State {
        /// What was read and not given away is between `start` and `end`.
        var bytes = [UInt8](repeating: 0, count: 256 << 10)
        var start = 0
        var end = 0
        var isAtEnd = false
        var status: Int32?

        var count: Int { end - start }

        /// Makes room for at least as much again as a line needs.
        mutating func compact() {
            guard start > 0, bytes.count - end < 64 << 10 else { return }
            bytes.withUnsafeMutableBytes { all in
                guard let base = all.baseAddress else { return }
                memmove(base, base + start, end - start)
            }
            (start, end) = (0, end - start)
        }

        /// Reads once more; notes the end.
        mutating func fill(_ pipes: any ProgramPipes) throws {
            compact()
            let count = try bytes.withUnsafeMutableBytes {
                try pipes.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[end...]))
            }
            end += count
            if count == 0 { isAtEnd = true }
        }
    }

    /// What a login shell says on its own account before ours begins must fit in here.
    private static let mostNoise = 128 << 10

    private let pipes: any ProgramPipes
    private let farProtocol: FarProtocol
    private let state = Mutex(State())

    init(_ pipes: any ProgramPipes, _ farProtocol: FarProtocol) {
        self.pipes = pipes
        self.farProtocol = farProtocol
    }

    /// The status that the far shell told after the program's last byte; nil: it has not, or the connection was lost.
    var status: Int32? { state.withLock { $0.status } }

    /// Whether standard output ended.
    var isAtEnd: Bool { state.withLock { $0.isAtEnd } }

    /// What came before the far shell's first word, which is what a client says that prints its complaints there.
    var noise: String {
        state.withLock { String(decoding: $0.bytes[$0.start..<$0.end].suffix(4096), as: UTF8.self) }
    }

    /// Sends the words and waits for the far shell's answer. Blocks.
    func begin(_ opening: [UInt8]) throws -> Beginning {
        do { try opening.withUnsafeBytes { try pipes.write($0) } } catch is Failure {
            // A client that cannot reach the far side ends without reading; its last words tell why.
        }
        let wanted = farProtocol.beginning
        return try state.withLock { state in
            while true {
                if let answer = Self.answer(&state, wanted) { return answer }
                guard !state.isAtEnd, state.count < Self.mostNoise else { return .silent }
                try state.fill(pipes)
            }
        }
    }

    /// The far shell's first word, once its whole line is there; everything up to it is passed over.
    private static func answer(_ state: inout State, _ wanted: [UInt8]) -> Beginning? {
        let seen = state.bytes[state.start..<state.end]
        guard let at = seen.firstRange(of: wanted), let newline = seen[at.upperBound...].firstIndex(of: 10) else {
            return nil
        }
        let word = String(decoding: seen[at.upperBound..<newline], as: UTF8.self)
        state.start = newline + 1
        return word == "started" ? .started : .missing
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try state.withLock { state in
            while true {
                // The last bytes may be the far shell's; they are held back until more come.
                let ready = state.count - (state.isAtEnd ? 0 : heldBack(state))
                if ready > 0 {
                    let count = min(ready, buffer.count)
                    state.bytes.withUnsafeBytes {
                        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[state.start..<state.start + count]))
                    }
                    state.start += count
                    return count
                }
                if state.isAtEnd { return 0 }
                try state.fill(pipes)
                if state.isAtEnd { takeEnding(&state) }
            }
        }
    }

    /// How many of the last bytes may be the beginning of the far shell's last words.
    private func heldBack(_ state: State) -> Int {
        let ending = farProtocol.ending
        let window = max(state.start, state.end - farProtocol.endingLength)..<state.end
        return state.bytes.withUnsafeBufferPointer { bytes in
            for first in window where bytes[first] == FarProtocol.separator {
                let count = state.end - first
                if (0..<min(count, ending.count)).allSatisfy({ bytes[first + $0] == ending[$0] }) { return count }
            }
            return 0
        }
    }

    /// Takes the far shell's last words off the end, if they are there.
    private func takeEnding(_ state: inout State) {
        let ending = farProtocol.ending
        guard state.count >= farProtocol.endingLength else { return }
        let tail = state.bytes[(state.end - farProtocol.endingLength)..<state.end]
        guard tail.starts(with: ending), tail.last == 10,
            let status = Int32(String(decoding: tail.dropFirst(ending.count).dropLast(), as: UTF8.self))
        else { return }
        state.status = status
        state.end -= farProtocol.endingLength
    }

    /// Reads what the body left, so that the far program can end. Blocks.
    func drain() throws {
        try closeInput()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while try read(into: buffer) > 0 {}
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws { try pipes.write(bytes) }

    func closeInput() throws { try pipes.closeInput() }
}
