// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CLinux
import Glibc
import Subprocess
import SystemPackage

/// Runs a child process on pipes of our own around swift-subprocess, so that three things hold which its streams do not
/// promise: output is read until every writer closed it (a grandchild's tail is not lost), a write to a child that is
/// gone throws, and standard error is kept only as a bounded tail.
public enum ChildProgram {
    /// How a child ended, and the last part of its standard error.
    public struct Exit: Sendable {
        /// The exit status, when the child exited.
        public var code: Int32?
        /// The signal that ended it, when one did.
        public var signal: Int32?
        /// The last 16 KiB of standard error.
        public var standardError: [UInt8]
    }

    /// A child that could not be started.
    public struct NotStarted: Error {
        public var program: String
        public var reason: String
    }

    /// Starts `name` (looked up in PATH unless it has a slash), gives its pipes to `body` and waits for both.
    ///
    /// - Parameters:
    ///   - environment: variables set over the inherited ones.
    ///   - endsWithItsPipes: that the program waits for nothing but its own input and output, so that it ends by itself when
    ///     this process is gone.
    ///   - standardErrorLine: called with every line of standard error, on a thread of its own.
    /// - Throws: `NotStarted`, `CancellationError`, and whatever `body` throws, after the child's process group was ended
    ///   (TERM, after 5 s KILL) and reaped.
    ///
    /// The child gets TERM, too, when this process is gone without a word, as by KILL: see `Orphans`.
    public static func run<Result: Sendable>(
        _ name: String, _ arguments: [String], environment: [String: String] = [:], endsWithItsPipes: Bool = false,
        standardErrorLine: (@Sendable ([UInt8]) -> Void)? = nil,
        _ body: @escaping @Sendable (ChildPipes) async throws -> Result
    ) async throws -> (Result, Exit) {
        // A write to a child that is gone must be an error here, not the end of salvor.
        signal(SIGPIPE, SIG_IGN)
        if endsWithItsPipes { Orphans.prepare() }
        let (started, words) =
            endsWithItsPipes
            ? (ProgramPath.of(name, in: environment["PATH"]) ?? name, arguments)
            : await Orphans.ending(name, arguments, environment: environment)
        let (inputRead, inputWrite) = try pipe()
        let (outputRead, outputWrite) = try pipe()
        let (errorRead, errorWrite) = try pipe()
        let pipes = ChildPipes(input: inputWrite, output: outputRead)
        let drained = DrainTask()
        let tail = StandardErrorTail(errorRead, onLine: standardErrorLine)
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [.gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: .seconds(5))]
        let overrides = Dictionary(
            uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0.key), Optional($0.value)) })
        do {
            let result = try await Subprocess.run(
                started.contains("/") ? .path(FilePath(started)) : .name(started), arguments: Arguments(words),
                environment: .inherit.updating(overrides), platformOptions: options,
                input: .fileDescriptor(inputRead, closeAfterSpawningProcess: true),
                output: .fileDescriptor(outputWrite, closeAfterSpawningProcess: true),
                error: .fileDescriptor(errorWrite, closeAfterSpawningProcess: true)
            ) { _ in
                pipes.isStarted = true
                // A thread of its own, not awaited here: it ends only with the child, which a failing body must not wait for.
                drained.start(tail)
                defer {
                    // Closing both ends lets the child finish, or die of SIGPIPE.
                    pipes.close()
                }
                return try await body(pipes)
            }
            await drained.wait()
            try Task.checkCancellation()
            var exit = Exit(code: nil, signal: nil, standardError: tail.bytes)
            switch result.terminationStatus {
            case .exited(let code): exit.code = code
            case .signaled(let signal): exit.signal = signal
            }
            return (result.closureResult, exit)
        } catch let error as SubprocessError where !pipes.isStarted {
            pipes.close()
            tail.close()
            throw NotStarted(program: name, reason: error.description)
        } catch {
            pipes.close()
            if Task.isCancelled { throw CancellationError() }
            throw error
        }
    }

    private static func pipe() throws -> (read: FileDescriptor, write: FileDescriptor) {
        var raw: [Int32] = [-1, -1]
        // swift-subprocess closes everything above standard error in its children; gpgme does so in its own.
        guard salvor_pipe2(&raw, O_CLOEXEC) == 0 else { throw Errno(rawValue: errno) }
        let ends = (readEnd: FileDescriptor(rawValue: raw[0]), writeEnd: FileDescriptor(rawValue: raw[1]))
        // Larger pipes halve the context switches; a refusal (pipe-user-pages-soft) only costs speed.
        // 1031 is F_SETPIPE_SZ (fcntl(2)), which Glibc's module hides behind _GNU_SOURCE.
        _ = fcntl(ends.writeEnd.rawValue, 1031, 1 << 20)
        return (ends.readEnd, ends.writeEnd)
    }
}
