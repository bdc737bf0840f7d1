// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain
import Synchronization

/// A store that misbehaves as planned. A fault that was planned but never met is a mistake in the test:
/// `requireAllHit()` finds it.
public final class FaultyStore: Store {
    /// One misbehaviour, used up after `times` calls.
    public struct Fault: Sendable, CustomStringConvertible {
        /// Which calls it meets.
        public enum Call: Sendable {
            case put, get, size, list, folders, delete
        }

        /// What happens instead, or as well.
        public enum Effect: Sendable {
            /// The call fails and does nothing.
            case fail(Failure)
            /// The call takes effect and fails all the same.
            case failAfterwards(Failure)
            /// The call takes effect, and this happens right after it.
            case then(@Sendable () async throws -> Void)
            /// One bit of what is read (or, for `put`, of what is written) is another.
            case flipBit(at: Int)
            /// Only so many bytes are read (or written), without an error.
            case truncate(to: Int)
            /// The listing is empty.
            case listNothing
            /// The listing lacks the keys that contain this text, as a stale one does.
            case hide(String)
        }

        public var call: Call
        /// A part of the key or prefix it applies to; empty: all.
        public var key: String
        public var effect: Effect
        public var times: Int

        public init(_ call: Call, _ key: String = "", _ effect: Effect, times: Int = 1) {
            self.call = call
            self.key = key
            self.effect = effect
            self.times = times
        }

        public var description: String { "\(call) '\(key)': \(effect)" }
    }

    private let base: any Store
    private let faults: Mutex<[Fault]>

    public init(_ base: any Store, _ faults: [Fault]) {
        self.base = base
        self.faults = Mutex(faults)
    }

    /// Plans one more fault.
    public func plan(_ fault: Fault) {
        faults.withLock { $0.append(fault) }
    }

    /// Throws when a planned fault was not met as often as planned.
    public func requireAllHit() throws {
        let left = faults.withLock { $0 }
        guard left.isEmpty else { throw ShortCommand.Failed(description: "faults never met: \(left)") }
    }

    private func take(_ call: Fault.Call, _ key: String) -> Fault.Effect? {
        faults.withLock { faults in
            guard
                let index = faults.firstIndex(where: { $0.call == call && ($0.key.isEmpty || key.contains($0.key)) })
            else { return nil }
            faults[index].times -= 1
            let effect = faults[index].effect
            if faults[index].times == 0 { faults.remove(at: index) }
            return effect
        }
    }

    private static func spoil(_ bytes: [UInt8], _ effect: Fault.Effect?) -> [UInt8] {
        var bytes = bytes
        switch effect {
        case .flipBit(let position) where position < bytes.count: bytes[position] ^= 1
        case .truncate(let count) where count < bytes.count: bytes.removeLast(bytes.count - count)
        default: break
        }
        return bytes
    }

    private func run<Result: Sendable>(
        _ effect: Fault.Effect?, _ body: () async throws -> Result
    ) async throws -> Result {
        if case .fail(let failure) = effect { throw failure }
        let result = try await body()
        switch effect {
        case .failAfterwards(let failure): throw failure
        case .then(let next): try await next()
        default: break
        }
        return result
    }

    public var location: String { base.location }

    public func put(_ key: String, _ body: [UInt8], sha256: SHA256Digest, condition: PutCondition) async throws {
        let effect = take(.put, key)
        let written = Self.spoil(body, effect)
        try await run(effect) {
            try await base.put(
                key, written, sha256: written == body ? sha256 : SHA256Digest.of(written), condition: condition)
        }
    }

    public func get(_ key: String, range: Range<UInt64>?) async throws -> [UInt8] {
        let effect = take(.get, key)
        return Self.spoil(try await run(effect) { try await base.get(key, range: range) }, effect)
    }

    public func size(of key: String) async throws -> UInt64? {
        try await run(take(.size, key)) { try await base.size(of: key) }
    }

    public func list(_ prefix: String, _ page: @Sendable ([StoredObject]) async throws -> Void) async throws {
        let effect = take(.list, prefix)
        try await run(effect) {
            if case .listNothing = effect { return }
            try await base.list(prefix) { objects in
                guard case .hide(let text) = effect else { return try await page(objects) }
                let visible = objects.filter { !$0.key.contains(text) }
                if !visible.isEmpty { try await page(visible) }
            }
        }
    }

    public func folders(under prefix: String) async throws -> [String] {
        let effect = take(.folders, prefix)
        let names = try await run(effect) { try await base.folders(under: prefix) }
        switch effect {
        case .listNothing: return []
        case .hide(let text): return names.filter { !$0.contains(text) }
        default: return names
        }
    }

    public func delete(_ key: String) async throws {
        try await run(take(.delete, key)) { try await base.delete(key) }
    }
}
