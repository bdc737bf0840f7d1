// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Glibc
import Synchronization

/// A process that runs a program with some input once this process is gone without having revoked it, as by KILL. It is
/// made as a `Watchdog` is, and does nothing at an orderly end.
public final class LastWill: Sendable {
    /// `"$@"` is the program as it was given. No attempt follows the first: there is nobody to tell.
    private static let script = """
        trap '' HUP INT TERM
        will=$1 limit=$2
        shift 2
        word=
        IFS= read -r word || :
        [ "$word" = revoked ] && exit 0
        printf '%s' "$will" | (trap - HUP INT TERM; exec timeout --kill-after=5 "$limit" "$@") >/dev/null 2>&1
        """

    private struct State {
        var process: pid_t
        var pipe: Int32?
    }

    private let state: Mutex<State>

    /// - Parameters:
    ///   - arguments: the program and its arguments.
    ///   - input: what it gets on standard input; seen by everybody on this host.
    ///   - environment: set over this process's own.
    /// - Throws: `Watchdog.NotStarted`.
    public init(
        _ arguments: [String], input: String, environment: [String: String], limitSeconds: Int
    ) throws {
        let words = ["sh", "-c", Self.script, "salvor-last-will", input, String(limitSeconds)] + arguments
        let (process, pipe) = try Watchdog.launch(words, environment: environment)
        state = Mutex(State(process: process, pipe: pipe))
    }

    deinit {
        state.withLock { Self.end(&$0.pipe, $0.process) }
    }

    /// The program will not run. Waits until the process is gone, which is at once.
    public func revoke() async {
        // An error of nobody's: the closure throws nothing.
        try? await Blocking.run { [self] in state.withLock { Self.end(&$0.pipe, $0.process) } }
    }

    private static func end(_ pipe: inout Int32?, _ process: pid_t) {
        guard let open = pipe else { return }
        pipe = nil
        let word = Array("revoked\n".utf8)
        // The shell waits at the other end; if somebody ended it, there is no will any more.
        _ = word.withUnsafeBytes { write(open, $0.baseAddress, $0.count) }
        close(open)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
    }
}
