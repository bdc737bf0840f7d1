// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Leaves out the line that newer dump programs begin with: it forbids the client commands that reach beyond SQL, and older
/// clients do not know it and stop there. The client runs in binary mode, which takes no such commands in any case.
final class SandboxLineFilter: Sendable {
    static let beginnings = ["/*M!999999\\-", "/*!999999\\-"].map { Array($0.utf8) }

    private struct State {
        var head: [UInt8] = []
        var isDecided = false
    }

    private let state = Mutex(State())
    private let forward: @Sendable (UnsafeRawBufferPointer) throws -> Void

    init(_ forward: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void) {
        self.forward = forward
    }

    /// Takes the next bytes of the dump.
    func take(_ bytes: UnsafeRawBufferPointer) throws {
        if state.withLock({ $0.isDecided }) { return try forward(bytes) }
        let ready: [UInt8]? = state.withLock { state in
            state.head.append(contentsOf: bytes)
            // No such line is longer than this.
            guard state.head.contains(UInt8(ascii: "\n")) || state.head.count >= 256 else { return nil }
            state.isDecided = true
            defer { state.head = [] }
            return Self.without(state.head)
        }
        if let ready { try ready.withUnsafeBytes { try forward($0) } }
    }

    /// Hands over what is left of a very short dump.
    func finish() throws {
        let rest = state.withLock { state in
            defer { state = State(head: [], isDecided: true) }
            return state.isDecided ? [] : Self.without(state.head)
        }
        if !rest.isEmpty { try rest.withUnsafeBytes { try forward($0) } }
    }

    /// `text` without such a first line.
    static func without(_ text: [UInt8]) -> [UInt8] {
        guard beginnings.contains(where: { text.starts(with: $0) }) else { return text }
        guard let end = text.firstIndex(of: UInt8(ascii: "\n")) else { return [] }
        return Array(text[(end + 1)...])
    }
}
