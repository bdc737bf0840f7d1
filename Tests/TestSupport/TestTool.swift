// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// Programs that tests need and no Debian package has, and servers that end with the test process.
public enum TestTool {
    /// The path of `name`: what the environment's `variable` says, a file in PATH, or one of
    /// `scripts/install-test-tools`.
    public static func find(_ name: String, variable: String) throws -> String {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment[variable], !path.isEmpty { return path }
        let home = environment["HOME"] ?? "/root"
        let cache = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "\(home)/.cache"
        let folders = (environment["PATH"] ?? "").split(separator: ":").map(String.init) + ["\(cache)/salvor-tests/bin"]
        for folder in folders where FileManager.default.isExecutableFile(atPath: "\(folder)/\(name)") {
            return "\(folder)/\(name)"
        }
        throw ShortCommand.Failed(description: "\(name) is not installed: run scripts/install-test-tools")
    }

    /// Starts a server that is ended, and whose folder is removed, when the returned handle is closed: by the test, or
    /// by the operating system when the test process ends in any way, a crash included.
    public static func launch(
        _ program: String, _ arguments: [String], log: String, removing folder: String
    ) throws -> (process: Process, lifeline: FileHandle) {
        var ends: [Int32] = [0, 0]
        // Closed in other children: each would otherwise hold the lifeline open.
        guard pipe(&ends) == 0, ends.allSatisfy({ fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else {
            throw ShortCommand.Failed(description: "no pipe: \(String(cString: strerror(errno)))")
        }
        let script = """
            log=$1; folder=$2; shift 2
            "$@" >"$log" 2>&1 </dev/null & server=$!
            (while kill -0 $server 2>/dev/null; do sleep 1; done; kill $$ 2>/dev/null) </dev/null & watch=$!
            trap 'exit 1' TERM
            read -r end
            trap '' TERM
            kill -TERM $server 2>/dev/null
            for step in 1 2 3 4 5 6 7 8 9 10; do kill -0 $server 2>/dev/null || break; sleep 0.5; done
            kill -KILL $server 2>/dev/null
            rm -rf "$folder"
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script, "sh", log, folder, program] + arguments
        process.standardInput = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return (process, FileHandle(fileDescriptor: ends[1], closeOnDealloc: true))
    }
}
