// SPDX-License-Identifier: Apache-2.0
import Domain
import Files
import Foundation
import TestSupport
import Testing

@Suite("Snapshots that servers make")
struct SnapshotTests {
    @Test("an incremental of a snapshot under another name holds what is new, and with its base it is the snapshot")
    func incremental() async throws {
        let folder = try TemporaryDirectory("snapshots")
        try folder.write("one/block-a/chunk", "first\n")
        try folder.write("one/top", "gone later\n")
        let base = MemoryCapture()
        _ = try await TreeSnapshot.capture(at: folder("one"), into: base, stream: "blocks")
        try ShortCommand.run("cp", ["-al", folder("one"), folder("two")])
        try FileManager.default.removeItem(atPath: folder("two/top"))
        try folder.write("two/block-b/deep/chunk", "second\n")
        let next = MemoryCapture(base: base)
        let outcome = try await TreeSnapshot.capture(at: folder("two"), into: next, stream: "blocks")
        #expect(outcome.notices == [])
        let stream = try #require(next.stream("blocks"))
        #expect(stream.storage == .incremental)
        _ = try await TreeRestore.extract(stream: stream, into: folder("out"))
        let compared = try await StockProgram.run("diff", ["-r", folder("two"), folder("out")])
        #expect(compared.status == 0, "\(compared.text)\(compared.errors)")
    }
}
