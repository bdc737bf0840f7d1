// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CLinux
import Glibc
import Synchronization

/// A process that runs a program once it is told to, or once this process is gone: what must happen even when salvor is
/// killed. The opposite of `Orphans`: nothing ties it to salvor's life.
///
/// It is a shell that waits at a pipe. The pipe closes however salvor ends; then, as after a word through it, the program
/// is run until it succeeds, each attempt within a time limit, and a file is removed. It leads a session of its own, and
/// signals that end a process group pass it by; only KILL, as to a whole control group, ends it, and then the file stays.
public final class Watchdog: Sendable {
    /// `"$@"` is the program as it was given: no word of it is looked at by the shell. In the subshell the signals are
    /// normal again, for a program that starts a daemon.
    private static let script = """
        trap '' HUP INT TERM
        note=$1 limit=$2 tries=$3
        shift 3
        IFS= read -r word || :
        made=1
        until (trap - HUP INT TERM; exec timeout --kill-after=5 "$limit" "$@") </dev/null; do
            [ "$made" -lt "$tries" ] || exit 1
            made=$((made + 1))
            sleep 2
        done
        rm -f -- "$note"
        """

    private struct State {
        var process: pid_t
        var pipe: Int32?
    }

    private let state: Mutex<State>

    private init(process: pid_t, pipe: Int32) {
        state = Mutex(State(process: process, pipe: pipe))
    }

    deinit {
        // Whoever lets it go lets it bark.
        state.withLock { if let pipe = $0.pipe { close(pipe) } }
    }

    /// What could not be started.
    public struct NotStarted: Error {
        public var reason: String
    }

    /// Starts one for the program `arguments[0]`.
    ///
    /// - Parameters:
    ///   - environment: set over this process's own.
    ///   - note: the file to remove once the program succeeded.
    ///   - limitSeconds: for each attempt.
    public static func start(
        _ arguments: [String], environment: [String: String], removing note: String, limitSeconds: Int, attempts: Int
    ) throws -> Watchdog {
        let words = ["sh", "-c", script, "salvor-watchdog", note, String(limitSeconds), String(attempts)] + arguments
        let (process, pipe) = try launch(words, environment: environment)
        return Watchdog(process: process, pipe: pipe)
    }

    /// Starts a shell with the reading end of a pipe as its standard input that only this process holds the other end of. It
    /// leads a session of its own and has nothing else open.
    static func launch(
        _ words: [String], environment: [String: String]
    ) throws -> (process: pid_t, pipe: Int32) {
        var ends: [Int32] = [-1, -1]
        // Children must not hold the writing end, whoever starts one at this moment: the pipe has to close with this process.
        guard salvor_pipe2(&ends, O_CLOEXEC) == 0 else { throw NotStarted(reason: String(cString: strerror(errno))) }
        defer { close(ends[0]) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        // Standard output is for salvor's results.
        posix_spawn_file_actions_adddup2(&actions, 2, 1)
        // It outlives the children of others, whose pipes would not end while it had them, too.
        salvor_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What salvor ignores or blocks is no business of the program's.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGHUP, SIGINT, SIGTERM, SIGPIPE] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // 0x80 is POSIX_SPAWN_SETSID (posix_spawnattr_setflags(3)), which Glibc's module hides behind _GNU_SOURCE.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | 0x80))

        var process: pid_t = 0
        let status = withStrings(words) { words in
            withStrings(variables(environment)) { variables in
                posix_spawn(&process, "/bin/sh", &actions, &attributes, words, variables)
            }
        }
        guard status == 0 else {
            close(ends[1])
            throw NotStarted(reason: String(cString: strerror(status)))
        }
        return (process, ends[1])
    }

    /// Lets it run the program now and waits for its end.
    ///
    /// - Returns: whether the program succeeded, at last.
    public func run() async throws -> Bool {
        let process = state.withLock { state in
            if let pipe = state.pipe { close(pipe) }
            state.pipe = nil
            return state.process
        }
        return try await Blocking.run {
            var status: Int32 = 0
            while waitpid(process, &status, 0) < 0 {
                // Reaped by somebody else: how it ended is not known.
                guard errno == EINTR else { return false }
            }
            return status == 0
        }
    }

    private static func variables(_ own: [String: String]) -> [String] {
        var all: [String] = []
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if own[String(text.prefix { $0 != "=" })] == nil { all.append(text) }
            next += 1
        }
        return all + own.map { "\($0.key)=\($0.value)" }
    }

    /// `texts` as a C array of C strings that ends with a null pointer.
    private static func withStrings<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        return body(pointers + [nil])
    }
}
