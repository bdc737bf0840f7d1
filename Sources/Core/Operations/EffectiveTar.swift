// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Dispatch
import Domain
import Synchronization

/// The tar of the whole tree that an incremental stands for: the very bytes of the members that are left of its base and of
/// its own, in walk order, and an end marker. A hard link's file comes before it in walk order, whichever of the two
/// streams it is in, so the result is a full like any other.
struct EffectiveTar: Sendable {
    /// What is listed of the result, with its own offsets.
    let members: MemberTable
    let length: UInt64
    private let stream: any StoredStream
    private let base: any StoredStream
    private let pieces: [Piece]

    /// Adjoining bytes of one of the two streams.
    private struct Piece: Sendable {
        var isOwn: Bool
        var range: Range<UInt64>
    }

    /// An end marker is two empty blocks.
    private static let endMarker = 1024

    /// - Throws: `Failure(.integrity)` for lists whose members overlap or are out of order, `Failure(.baseMissing)`.
    init(_ stream: any StoredStream) throws {
        guard let base = stream.base else {
            throw Failure(.baseMissing, "the base of stream '\(stream.name)' is missing")
        }
        self.stream = stream
        self.base = base
        var members = MemberTable()
        var pieces: [Piece] = []
        var length: UInt64 = 0
        var ends: (own: UInt64, base: UInt64) = (0, 0)
        try EffectiveTree.forEach(stream) { member, isOwn in
            let (end, overflow) = member.offset.addingReportingOverflow(member.length)
            let limit = isOwn ? stream.receipt.length : base.receipt.length
            guard !overflow, member.offset >= (isOwn ? ends.own : ends.base), end <= limit, member.length % 512 == 0
            else { throw Failure(.integrity, "the member list of stream '\(stream.name)' is damaged: offsets") }
            if isOwn { ends.own = end } else { ends.base = end }
            if let last = pieces.last, last.isOwn == isOwn, last.range.upperBound == member.offset {
                pieces[pieces.count - 1].range = last.range.lowerBound..<end
            } else {
                pieces.append(Piece(isOwn: isOwn, range: member.offset..<end))
            }
            var moved = member
            moved.offset = length
            length += member.length
            members.append(moved)
        }
        self.members = members
        self.pieces = pieces
        self.length = length + UInt64(Self.endMarker)
    }

    /// Writes the tar, reading both streams from end to end side by side, each checked against its digest.
    ///
    /// - Throws: `Failure(.integrity)`, what `sink` throws.
    func write(to sink: any ByteSink) async throws {
        let merge = TakingTurns(
            own: pieces.filter(\.isOwn).map(\.range), base: pieces.filter { !$0.isOwn }.map(\.range),
            order: pieces.map(\.isOwn), sink: sink)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (lane, isOwn) in [(stream, true), (base, false)] {
                group.addTask {
                    do {
                        try await WholeStream.read(lane) { try merge.take($0, isOwn: isOwn) }
                        try merge.requireFinished(isOwn: isOwn)
                    } catch {
                        merge.fail(error)
                        throw merge.error ?? error
                    }
                }
            }
            try await group.waitForAll()
        }
        try await Blocking.run { try sink.write([UInt8](repeating: 0, count: Self.endMarker)) }
    }
}

/// Reads a stream from end to end and compares length and digest with what was captured.
enum WholeStream {
    static func read(
        _ stream: any StoredStream, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        let hash = StreamHash()
        try await stream.read(nil) { bytes in
            hash.update(bytes)
            try consume(bytes)
        }
        guard hash.receipt == stream.receipt else {
            throw Failure(.integrity, "stream '\(stream.name)' does not have the digest that was captured")
        }
    }
}

/// Two streams that come side by side, from each of which pieces go to one sink in a given order: who is not at turn
/// waits, blocking its thread.
private final class TakingTurns: Sendable {
    private struct Lane {
        var ranges: [Range<UInt64>]
        var next = 0
        /// Bytes of the stream seen so far.
        var position: UInt64 = 0

        var isFinished: Bool { next == ranges.count }

        /// Goes on by `count` bytes; whether a piece ended with them.
        mutating func advance(_ count: Int) -> Bool {
            position += UInt64(count)
            guard next < ranges.count, position == ranges[next].upperBound else { return false }
            next += 1
            return true
        }
    }

    private struct State {
        var own: Lane
        var base: Lane
        var turn = 0
        var error: (any Error)?
    }

    private let order: [Bool]
    private let sink: any ByteSink
    private let state: Mutex<State>
    private let ownTurn = DispatchSemaphore(value: 0)
    private let baseTurn = DispatchSemaphore(value: 0)

    init(own: [Range<UInt64>], base: [Range<UInt64>], order: [Bool], sink: any ByteSink) {
        self.order = order
        self.sink = sink
        state = Mutex(State(own: Lane(ranges: own), base: Lane(ranges: base)))
    }

    var error: (any Error)? { state.withLock { $0.error } }

    /// Ends both sides; the first error stays.
    func fail(_ error: any Error) {
        state.withLock { if $0.error == nil { $0.error = error } }
        ownTurn.signal()
        baseTurn.signal()
    }

    /// Takes the next bytes of one of the streams: writes those that are wanted, when it is their turn.
    func take(_ bytes: UnsafeRawBufferPointer, isOwn: Bool) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let (skipped, wanted) = state.withLock { state in
                Self.next(rest.count, isOwn ? state.own : state.base)
            }
            if wanted > 0 {
                try waitForTurn(isOwn: isOwn)
                try sink.write(UnsafeRawBufferPointer(rebasing: rest.dropFirst(skipped).prefix(wanted)))
            }
            state.withLock { state in
                let hasEnded = isOwn ? state.own.advance(skipped + wanted) : state.base.advance(skipped + wanted)
                guard hasEnded else { return }
                state.turn += 1
            }
            wakeNext(after: isOwn)
            rest = rest.dropFirst(skipped + wanted)
        }
    }

    /// Throws unless all pieces of the stream came by.
    func requireFinished(isOwn: Bool) throws {
        let isFinished = state.withLock { isOwn ? $0.own.isFinished : $0.base.isFinished }
        guard isFinished else { throw Failure(.integrity, "a tree's stream is shorter than its member list says") }
    }

    /// How many of `count` bytes to pass over, and how many of those behind to write.
    private static func next(_ count: Int, _ lane: Lane) -> (skipped: Int, wanted: Int) {
        guard lane.next < lane.ranges.count else { return (count, 0) }
        let range = lane.ranges[lane.next]
        let skipped = range.lowerBound > lane.position ? range.lowerBound - lane.position : 0
        guard skipped < UInt64(count) else { return (count, 0) }
        let left = range.upperBound - (lane.position + skipped)
        return (Int(skipped), Int(min(left, UInt64(count) - skipped)))
    }

    private func waitForTurn(isOwn: Bool) throws {
        while true {
            let isTurn = try state.withLock { state in
                if let error = state.error { throw error }
                return state.turn < order.count && order[state.turn] == isOwn
            }
            if isTurn { return }
            (isOwn ? ownTurn : baseTurn).wait()
        }
    }

    private func wakeNext(after isOwn: Bool) {
        let next = state.withLock { $0.turn < order.count ? order[$0.turn] : isOwn }
        if next != isOwn { (next ? ownTurn : baseTurn).signal() }
    }
}
