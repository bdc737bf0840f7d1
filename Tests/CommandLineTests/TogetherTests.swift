// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Two runs of one plan")
struct TogetherTests {
    @Test("of two backups started at once, one commits; the other exits with 6 and names the first one's process")
    func atOnce() async throws {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        // Large enough that the first one is at it while the second one starts.
        for number in 0..<8 {
            var bytes = Data(count: 24 << 20)
            for index in stride(from: 0, to: bytes.count, by: 64) {
                bytes[index] = UInt8(truncatingIfNeeded: index >> 6 &* number)
            }
            try FileManager.default.createDirectory(atPath: site.folder("etc"), withIntermediateDirectories: true)
            try bytes.write(to: URL(fileURLWithPath: site.folder("etc/\(number)")))
        }
        async let one = started(site)
        async let two = started(site)
        let (first, second) = try await (one, two)
        let (winner, loser) = first.outcome.status == 0 ? (first, second) : (second, first)
        #expect(winner.outcome.status == 0, "\(winner.outcome.errors)")
        #expect(loser.outcome.status == 6, "\(loser.outcome)")
        #expect(
            loser.outcome.errors.contains("another run of plan 'nightly'")
                && loser.outcome.errors.contains("in process \(winner.process)"),
            "\(loser.outcome.errors) \(winner.process)")
        #expect(try await site.bundles().count == 1)
        try await site.ok(["validate-backup", "latest", "--all", "--level", "checksum"])
        try await site.ok(["validate-backup", "latest", "--all", "--level", "contents"], as: site.owner)
        // The lock is free again.
        try await site.ok(["backup"])
        #expect(try await site.bundles().count == 2)
    }

    private struct Started {
        var process: Int32
        var outcome: SalvorProcess.Outcome
    }

    private final class ProcessNumber: Sendable {
        let number = Mutex<Int32>(0)
    }

    private func started(_ site: Site) async throws -> Started {
        let process = ProcessNumber()
        let outcome = try await site.host.run(
            ["backup"], started: { number in process.number.withLock { $0 = number } })
        return Started(process: process.number.withLock { $0 }, outcome: outcome)
    }
}
