// SPDX-License-Identifier: Apache-2.0

/// How programs beside a source are run and its ports are reached. Arguments travel as a vector, never through a shell;
/// secrets travel in `environment` or standard input, never in arguments.
public protocol Transport: Sendable {
    /// For people: `local`, `docker:db`.
    var description: String { get }

    /// Starts `program`, gives its pipes to `body` and waits for both. Returns the body's result and how the program
    /// ended: **the caller must look at the exit**. If `body` throws or the task is cancelled, the program's process
    /// group gets TERM, then KILL, and the error is thrown after it is reaped. A program that cannot be started throws
    /// `Failure(.programMissing)`.
    ///
    /// Standard error is read all the while; its last part is in the exit.
    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit)

    /// Opens a TCP connection as seen from beside the source (`host:port`), or a Unix socket when `host` begins with `/`
    /// (then it is the whole path). The caller closes the descriptor.
    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32

    /// Does `body` while the TCP port `host:port`, as seen from beside the source, can be reached from this host at the
    /// place given to it: itself, or a port that is forwarded until the body ends.
    func reach<Result: Sendable>(
        host: String, port: Int, _ body: @Sendable (ReachedPort) async throws -> Result
    ) async throws -> Result

    /// Whether files beside the source are this host's files.
    var reachesLocalFiles: Bool { get }
}

extension Transport {
    /// Where ports beside the source are this host's: the port itself.
    public func reach<Result: Sendable>(
        host: String, port: Int, _ body: @Sendable (ReachedPort) async throws -> Result
    ) async throws -> Result {
        try await body(ReachedPort(host: host, port: port))
    }
}

/// A TCP port as this host reaches it.
public struct ReachedPort: Sendable, Equatable {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

/// A program to run: its name (found in PATH) or path, its arguments, and variables added to the environment.
public struct Program: Sendable, Equatable {
    public var name: String
    public var arguments: [String]
    /// Added to (and overriding) the environment of salvor; the place for secrets.
    public var environment: [String: String]

    public init(_ name: String, _ arguments: [String], environment: [String: String] = [:]) {
        self.name = name
        self.arguments = arguments
        self.environment = environment
    }

    /// The command line for people, without the environment.
    public var commandLine: String {
        ([name] + arguments).map { word in
            let plain = word.utf8.allSatisfy {
                ($0 >= 43 && $0 <= 58) || ($0 >= 64 && $0 <= 90) || $0 == 95 || ($0 >= 97 && $0 <= 122) || $0 == 61
            }
            return plain && !word.isEmpty
                ? word
                : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        }.joined(separator: " ")
    }
}

/// A running program's standard input and output. The calls block: make them inside `Blocking.run`.
public protocol ProgramPipes: Sendable {
    /// Reads some bytes of standard output; 0 at its end. All writers' ends must be closed for that, so a forgotten
    /// grandchild's output is not lost.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
    /// Writes all of `bytes` to standard input, or throws (a broken pipe included).
    func write(_ bytes: UnsafeRawBufferPointer) throws
    /// Closes standard input; harmless when done twice.
    func closeInput() throws
}

/// How a program ended.
public struct ProgramExit: Sendable, Equatable {
    /// The exit status, or the signal that ended it.
    public enum Status: Sendable, Equatable, CustomStringConvertible {
        case exited(Int32)
        case signalled(Int32)

        public var description: String {
            switch self {
            case .exited(let code): "exit status \(code)"
            case .signalled(let signal): "signal \(signal)"
            }
        }
    }

    public var status: Status
    /// The last 16 KiB of standard error, as text.
    public var standardError: String

    public init(status: Status, standardError: String) {
        self.status = status
        self.standardError = standardError
    }

    /// Whether the program exited with 0.
    public var isSuccess: Bool { status == .exited(0) }

    /// The last lines of standard error on one line, for an error message.
    public var lastWords: String {
        let lines = standardError.split(whereSeparator: \.isNewline).filter { !$0.allSatisfy(\.isWhitespace) }
        return lines.suffix(3).joined(separator: "; ")
    }
}
