// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Glibc
import Synchronization
import SystemPackage

/// A running child's standard input and output; the calls block.
public final class ChildPipes: Sendable {
    private struct Ends {
        var input: FileDescriptor?
        var output: FileDescriptor?
        var isStarted = false
        var readersAndWriters = 0
        var isClosing = false
    }

    private let ends: Mutex<Ends>

    init(input: FileDescriptor, output: FileDescriptor) {
        ends = Mutex(Ends(input: input, output: output))
    }

    var isStarted: Bool {
        get { ends.withLock { $0.isStarted } }
        set { ends.withLock { $0.isStarted = newValue } }
    }

    /// Reads some bytes of standard output; 0 at its end.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let descriptor = enter({ $0.output }) else { return 0 }
        defer { leave() }
        return try descriptor.read(into: buffer)
    }

    /// Writes all of `bytes` to standard input.
    ///
    /// - Throws: `Errno.brokenPipe` when the child closed it.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard let descriptor = enter({ $0.input }) else { throw Errno.brokenPipe }
        defer { leave() }
        try descriptor.writeAll(bytes)
    }

    /// Closes standard input; harmless when done twice. No write may be under way.
    public func closeInput() throws {
        let descriptor = ends.withLock { ends in
            defer { ends.input = nil }
            return ends.input
        }
        try descriptor?.close()
    }

    /// Closes standard output, which ends a child that still writes to it; harmless when done twice. No read may be under
    /// way.
    public func closeOutput() throws {
        let descriptor = ends.withLock { ends in
            defer { ends.output = nil }
            return ends.output
        }
        try descriptor?.close()
    }

    /// Closes both ends once nobody reads or writes any more.
    func close() {
        let (input, output): (FileDescriptor?, FileDescriptor?) = ends.withLock { ends in
            ends.isClosing = true
            guard ends.readersAndWriters == 0 else { return (nil, nil) }
            defer { (ends.input, ends.output) = (nil, nil) }
            return (ends.input, ends.output)
        }
        // Nothing buffered is lost by a failing close of a pipe.
        _ = input.map { Glibc.close($0.rawValue) }
        _ = output.map { Glibc.close($0.rawValue) }
    }

    private func enter(_ end: (Ends) -> FileDescriptor?) -> FileDescriptor? {
        ends.withLock { ends in
            guard !ends.isClosing, let descriptor = end(ends) else { return nil }
            ends.readersAndWriters += 1
            return descriptor
        }
    }

    private func leave() {
        let shouldClose = ends.withLock { ends in
            ends.readersAndWriters -= 1
            return ends.isClosing && ends.readersAndWriters == 0
        }
        if shouldClose { close() }
    }
}

/// Drains a child's standard error, keeping the last part.
final class StandardErrorTail: Sendable {
    private static let limit = 16 << 10
    private let descriptor: FileDescriptor
    private let onLine: (@Sendable ([UInt8]) -> Void)?
    private let kept = Mutex<[UInt8]>([])

    init(_ descriptor: FileDescriptor, onLine: (@Sendable ([UInt8]) -> Void)?) {
        self.descriptor = descriptor
        self.onLine = onLine
    }

    var bytes: [UInt8] { kept.withLock { $0 } }

    /// Reads to the end; blocks.
    func drain() {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var line: [UInt8] = []
        while true {
            // An error here can only mean that the pipe is unusable: standard error is lost, the exit status is not.
            guard let count = try? buffer.withUnsafeMutableBytes({ try descriptor.read(into: $0) }), count > 0 else {
                break
            }
            kept.withLock {
                $0.append(contentsOf: buffer[..<count])
                if $0.count > 2 * Self.limit { $0.removeFirst($0.count - Self.limit) }
            }
            if let onLine {
                for byte in buffer[..<count] {
                    if byte == UInt8(ascii: "\n") {
                        onLine(line)
                        line = []
                    } else {
                        line.append(byte)
                    }
                }
            }
        }
        if let onLine, !line.isEmpty { onLine(line) }
        close()
    }

    func close() {
        _ = Glibc.close(descriptor.rawValue)
    }
}

/// The draining of a standard error, started once and waited for once.
final class DrainTask: Sendable {
    private let task = Mutex<Task<Void, any Error>?>(nil)

    func start(_ tail: StandardErrorTail) {
        task.withLock { $0 = Task { try await Blocking.run { tail.drain() } } }
    }

    func wait() async {
        // `drain` does not throw.
        _ = await task.withLock({ $0 })?.result
    }
}
