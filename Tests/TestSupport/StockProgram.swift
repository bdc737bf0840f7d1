// SPDX-License-Identifier: Apache-2.0
import Foundation
import ByteStreams

/// Runs a stock tool to its end, for checking our output with somebody else's program.
public enum StockProgram {
    /// How it ended and what it printed.
    public struct Outcome: Sendable {
        public var status: Int32
        public var output: [UInt8]
        public var errors: String
        /// Standard output as text.
        public var text: String { String(decoding: output, as: UTF8.self) }
    }

    /// Runs `name` (looked up in the test's own PATH).
    ///
    /// - Parameters:
    ///   - environment: the whole environment of the program; nil: that of the test.
    public static func run(
        _ name: String, _ arguments: [String], input: [UInt8] = [], directory: String? = nil,
        environment: [String: String]? = nil
    ) async throws -> Outcome {
        try await Blocking.run {
            let files = try TemporaryDirectory("run")
            for file in ["in", "out", "err"] { try files.write(file, "") }
            try Data(input).write(to: URL(fileURLWithPath: files("in")))
            let process = Process()
            let path =
                name.contains("/")
                ? name
                : (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
                    .map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) } ?? name
            process.executableURL = URL(fileURLWithPath: path)
            process.arguments = arguments
            if let environment { process.environment = environment }
            if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
            // Files, not pipes: nothing can fill up.
            process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: files("in")))
            process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: files("out")))
            process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: files("err")))
            try process.start()
            process.waitUntilExit()
            return Outcome(
                status: process.terminationReason == .exit
                    ? process.terminationStatus : 128 + process.terminationStatus,
                output: Array(try Data(contentsOf: URL(fileURLWithPath: files("out")))),
                errors: String(decoding: try Data(contentsOf: URL(fileURLWithPath: files("err"))), as: UTF8.self))
        }
    }
}
