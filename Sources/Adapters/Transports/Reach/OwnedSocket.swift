// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// A descriptor of a socket that is closed when nobody uses it any more, so that its number is not given to another file
/// while a thread still reads from it.
final class OwnedSocket: Sendable {
    let raw: Int32

    init(_ raw: Int32) {
        self.raw = raw
    }

    deinit {
        close(raw)
    }

    /// Two that are connected to each other.
    ///
    /// - Throws: `Failure(.localInput)`.
    static func pair() throws -> (OwnedSocket, OwnedSocket) {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw Failure(.localInput, "unable to make a socket: \(String(cString: strerror(errno)))")
        }
        return (OwnedSocket(ends[0]), OwnedSocket(ends[1]))
    }

    /// Some bytes; 0 at the end, also at an end by an error, which for a socket means the same. Blocks.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        while true {
            let count = Glibc.read(raw, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            return max(0, count)
        }
    }

    /// Whether all bytes were taken. Blocks.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = send(raw, bytes.baseAddress?.advanced(by: done), bytes.count - done, Int32(MSG_NOSIGNAL))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }

    /// Says that nothing more comes.
    func endWriting() { shutdown(raw, Int32(SHUT_WR)) }

    /// Ends both directions: whoever reads or writes, here or there, sees the end.
    func end() { shutdown(raw, Int32(SHUT_RDWR)) }

    /// Waits until the other side is gone in both directions; at most `milliseconds`. Blocks.
    func isHungUp(within milliseconds: Int32) -> Bool {
        var look = pollfd(fd: raw, events: 0, revents: 0)
        return poll(&look, 1, milliseconds) > 0 && look.revents & Int16(POLLHUP | POLLERR | POLLNVAL) != 0
    }
}
