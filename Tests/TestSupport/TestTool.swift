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
        let script = """
            log=$1; folder=$2; shift 2
            exec 3<&0
            "$@" >"$log" 2>&1 </dev/null 3<&- & server=$!
            (
                read -r end <&3
                kill -TERM $server
                for step in $(seq 40); do sleep 0.5; kill -0 $server || exit; done
                kill -KILL $server
            ) </dev/null 2>/dev/null & watch=$!
            # Reaped by this shell: nobody else might, and a dead server looks alive until somebody does.
            wait $server
            kill $watch 2>/dev/null
            wait $watch
            rm -rf "$folder"
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script, "sh", log, folder, program] + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let lifeline = try process.start {
            let input = Pipe()
            process.standardInput = input
            return input.fileHandleForWriting
        }
        return (process, lifeline)
    }
}
