// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc
import Synchronization

/// A shell that runs a server and, when the pipe to it closes, stops the server and removes its folder; without a server
/// it only removes the folder.
final class Keeper: Sendable {
    private let process: Process
    private let pipe: Mutex<FileHandle?>

    init(folder: String, _ server: Program?) throws {
        let script =
            server == nil
            ? "cat >/dev/null; rm -rf \"$0\""
            : """
            "$@" >"$0/log" 2>&1 </dev/null &
            server=$!
            cat >/dev/null
            kill -INT $server 2>/dev/null
            wait $server
            rm -rf "$0"
            """
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script, folder] + (server.map { [$0.name] + $0.arguments } ?? [])
        process.environment = ProcessInfo.processInfo.environment.merging(server?.environment ?? [:]) { _, new in new }
        pipe = Mutex(nil)
        try process.start {
            let input = Pipe()
            // Another child that held this end would keep the server alive.
            _ = fcntl(input.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
            process.standardInput = input
            pipe.withLock { $0 = input.fileHandleForWriting }
        }
    }

    var isRunning: Bool { process.isRunning }

    func release() {
        pipe.withLock { handle in
            // Closing a pipe loses nothing.
            try? handle?.close()
            handle = nil
        }
    }

    func wait() { process.waitUntilExit() }
}
