// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A program that a test runs to its end, with little output.
public enum ShortCommand {
    /// Runs `program` (found in PATH); gives standard output, and throws with standard error unless it exits with 0.
    @discardableResult
    public static func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardInput = FileHandle.nullDevice
        let (output, errors) = try process.start {
            let pipes = (Pipe(), Pipe())
            (process.standardOutput, process.standardError) = pipes
            return pipes
        }
        // Little output: both fit into their pipes, so reading one after the other cannot block the program.
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let complaint = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failed(description: "\(program) exited with \(process.terminationStatus): \(complaint)")
        }
        return text
    }

    /// A program that failed.
    public struct Failed: Error, CustomStringConvertible {
        public let description: String

        public init(description: String) { self.description = description }
    }
}
