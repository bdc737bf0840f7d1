// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// What was found out last about each plan, so that a run of one can tell others of all: `status/<plan>.json`.
public struct StatusNotes: Sendable {
    private let directory: StateDirectory

    public init(_ root: StateDirectory) {
        directory = root.below("status")
    }

    /// What was noted; nil: nothing.
    public func load(plan: String) throws -> [UInt8]? { try directory.read("\(plan).json") }

    public func save(_ bytes: [UInt8], plan: String) throws {
        // Made anew by the next run, so it need not outlive a crash of the machine.
        try directory.write("\(plan).json", bytes, durable: false)
    }

    /// Does `body` while nobody else does, after waiting for those who do. Blocks.
    ///
    /// - Throws: `Failure(.localInput)`, and what `body` throws.
    public func exclusively<Result>(_ body: () throws -> Result) throws -> Result {
        try directory.create()
        let file = "\(directory.path)/.lock"
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure(.localInput, "unable to open '\(file)': \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else {
                throw Failure(.localInput, "unable to lock '\(file)': \(String(cString: strerror(errno)))")
            }
        }
        return try body()
    }
}
