// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Foundation

/// A server that two programs stop and start, as an init system does: `stop` returns when it is gone, `start` at once. It
/// ends with the value and with the test process, whoever started it last.
public final class SupervisedServer: Sendable {
    private let folder: TemporaryDirectory
    private let process: Process
    private let lifeline: FileHandle

    /// Arguments: none.
    public var startProgram: String { folder("start") }
    public var stopProgram: String { folder("stop") }

    /// Starts it.
    public init(_ program: String, _ arguments: [String]) throws {
        folder = try TemporaryDirectory("supervised")
        // The file `wanted` is what should be, `running` what is.
        try folder.write(
            "supervise",
            """
            #!/bin/sh
            cd "$(dirname "$0")" || exit 1
            server=
            trap 'kill $server 2>/dev/null; wait; exit' TERM
            while :; do
                if [ -e wanted ] && [ -z "$server" ]; then
                    "$@" >>log 2>&1 </dev/null & server=$!
                    touch running
                elif [ ! -e wanted ] && [ -n "$server" ]; then
                    kill $server
                    wait $server
                    server=
                    rm running
                fi
                sleep 0.05
            done

            """)
        try folder.write("start", "#!/bin/sh\ntouch \"$(dirname \"$0\")/wanted\"\n")
        try folder.write(
            "stop",
            """
            #!/bin/sh
            cd "$(dirname "$0")" || exit 1
            rm -f wanted
            for turn in $(seq 600); do [ -e running ] || exit 0; sleep 0.05; done
            exit 1

            """)
        for name in ["supervise", "start", "stop"] {
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder(name))
        }
        try folder.write("wanted", "")
        (process, lifeline) = try TestTool.launch(
            folder("supervise"), [program] + arguments, log: folder("supervisor.log"), removing: folder.path)
    }

    deinit {
        // The guard beside the server sees the end of its pipe and stops it.
        try? lifeline.close()
        process.waitUntilExit()
    }

    public func stop() async throws { try await run(stopProgram) }

    public func start() async throws { try await run(startProgram) }

    private func run(_ program: String) async throws {
        let outcome = try await StockProgram.run(program, [])
        guard outcome.status == 0 else {
            throw ShortCommand.Failed(description: "\(program) ended with \(outcome.status): \(outcome.errors)")
        }
    }
}
