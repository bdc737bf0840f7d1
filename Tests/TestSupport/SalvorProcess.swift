// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Foundation
import Glibc

/// The `salvor` that was built with the tests, run as operators run it.
public struct SalvorProcess: Sendable {
    /// Set over the test's environment.
    public var environment: [String: String]

    public init(_ environment: [String: String]) {
        self.environment = environment
    }

    /// How it ended and what it printed.
    public struct Outcome: Sendable {
        /// Exit status; 128 and the signal when one ended it.
        public var status: Int32
        public var output: String
        public var errors: String
        /// From the start to the end.
        public var seconds: Double
    }

    /// The binary: beside the test bundle.
    public static var path: String {
        let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
        let candidates = [
            ProcessInfo.processInfo.environment["SALVOR_TEST_BINARY"], "\(bundle)/salvor",
            "\(FileManager.default.currentDirectoryPath)/.build/debug/salvor",
        ]
        return candidates.compactMap { $0 }.first { FileManager.default.isExecutableFile(atPath: $0) } ?? "salvor"
    }

    /// Runs to the end, or until `signal` is sent: after `delay` seconds, or as soon as `moment` says so. `started` is
    /// told the process's id.
    public func run(
        _ arguments: [String], after delay: Double? = nil, when moment: (@Sendable () -> Bool)? = nil,
        signal: Int32 = 9, started: (@Sendable (Int32) -> Void)? = nil
    ) async throws -> Outcome {
        try await Blocking.run {
            let files = try TemporaryDirectory("salvor")
            for name in ["out", "err"] { try files.write(name, "") }
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Self.path)
            process.arguments = arguments
            process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, own in own }
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: files("out")))
            process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: files("err")))
            let began = ContinuousClock.now
            try process.start()
            started?(process.processIdentifier)
            if let delay {
                // The moment of the kill is the test's input, not a wait for something to happen.
                let moment = began + .seconds(delay)
                while process.isRunning, ContinuousClock.now < moment { usleep(1000) }
                kill(process.processIdentifier, signal)
            }
            if let moment {
                while process.isRunning, !moment() { usleep(5000) }
                kill(process.processIdentifier, signal)
            }
            process.waitUntilExit()
            let elapsed = began.duration(to: .now).components
            return Outcome(
                status: process.terminationReason == .exit
                    ? process.terminationStatus : 128 + process.terminationStatus,
                output: try String(contentsOfFile: files("out"), encoding: .utf8),
                errors: try String(contentsOfFile: files("err"), encoding: .utf8),
                seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18)
        }
    }
}
