// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Files

extension TreeFixture {
    /// A restore of a captured stream.
    func restore(
        _ stream: MemoryStream, _ report: CaptureReport, include: [String] = [], rename: String? = nil
    ) throws -> SourceRestore {
        SourceRestore(
            restoreID: "r1", bundle: BundleID(plan: "p", started: Timestamp(seconds: 0), suffix: "aaaaaa"),
            contents: Contents.Source(
                name: "files", engine: "files", facts: report.facts, restoreData: report.restoreData,
                notices: report.notices, position: nil), streams: [stream], include: include, rename: rename,
            scratchDirectory: folder("scratch"))
    }

    /// What is in the folder that holds the root.
    func beside() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix(".root") }.sorted()
    }
}

/// Breaks off at the n-th step, as if salvor had been killed there.
final class Breaking: Sendable {
    struct Killed: Error {}
    private let rest: Mutex<Int>

    init(after steps: Int) { rest = Mutex(steps) }

    func step(_ name: String) throws {
        try rest.withLock { rest in
            guard rest > 0 else { throw Killed() }
            rest -= 1
        }
    }
}
