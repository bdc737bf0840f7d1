// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc
import Synchronization

/// Carries bytes between a socket and whatever is on its far side, both ways.
enum SocketPump {
    /// The far side of a socket; the calls block.
    struct FarEnd: Sendable {
        var read: @Sendable (UnsafeMutableRawBufferPointer) -> Int
        var write: @Sendable (UnsafeRawBufferPointer) -> Bool
        var endWriting: @Sendable () -> Void

        /// Another socket.
        init(_ socket: OwnedSocket) {
            read = { socket.read(into: $0) }
            write = { socket.write($0) }
            endWriting = { socket.endWriting() }
        }

        /// A program's standard input and output.
        init(_ pipes: any ProgramPipes) {
            // A broken pipe is the end; how the program ended tells whether it was a good one.
            read = { (try? pipes.read(into: $0)) ?? 0 }
            // As above.
            write = { (try? pipes.write($0)) != nil }
            // As above.
            endWriting = { try? pipes.closeInput() }
        }
    }

    /// Works until the far side has sent its last byte, or this side is gone in both directions; then `socket` is ended.
    /// Returns whether it was the far side.
    @discardableResult
    static func run(_ socket: OwnedSocket, _ far: FarEnd) async -> Bool {
        let (events, event) = AsyncStream<Bool>.makeStream()
        let done = SharedFlag()
        Task {
            // Neither loop throws.
            try? await Blocking.run {
                loop(socket.read, far.write)
                far.endWriting()
                while !done.isSet, !socket.isHungUp(within: 500) {}
            }
            event.yield(false)
        }
        Task {
            // As above.
            try? await Blocking.run {
                loop(far.read, socket.write)
                socket.endWriting()
            }
            event.yield(true)
        }
        let isFarEnd = await withTaskCancellationHandler {
            for await isFar in events { return isFar }
            return false
        } onCancel: {
            event.finish()
        }
        done.set()
        socket.end()
        return isFarEnd
    }

    private static func loop(
        _ read: (UnsafeMutableRawBufferPointer) -> Int, _ write: (UnsafeRawBufferPointer) -> Bool
    ) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = read(buffer)
            guard count > 0, write(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { return }
        }
    }
}

/// Set once, seen by all.
private final class SharedFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    var isSet: Bool { flag.load(ordering: .acquiring) }

    func set() { flag.store(true, ordering: .releasing) }
}
