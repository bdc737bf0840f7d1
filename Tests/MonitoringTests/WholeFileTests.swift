// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Monitoring
import Synchronization
import TestSupport
import Testing

@Suite("The metrics file")
struct WholeFileTests {
    private func failure(_ file: WholeFile, _ text: String) -> Failure? {
        do {
            try file.write(text)
            return nil
        } catch {
            return error as? Failure
        }
    }

    @Test("readers see the old file or the new one, whole, and every user may read it")
    func whole() async throws {
        let folder = try TemporaryDirectory("metrics")
        let path = folder("salvor.prom")
        let texts = [String(repeating: "a\n", count: 50_000), String(repeating: "b\n", count: 70_000)]
        let file = WholeFile.metrics(path)
        try file.write(texts[0])
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o644)
        let isOver = Flag()
        try await withThrowingTaskGroup(of: Int.self) { group in
            group.addTask {
                try await Blocking.run {
                    var reads = 0
                    while !isOver.isSet || reads == 0 {
                        let text = try String(contentsOfFile: path, encoding: .utf8)
                        #expect(texts.contains(text))
                        reads += 1
                    }
                    return reads
                }
            }
            for round in 0..<40 { try file.write(texts[round % 2]) }
            isOver.set()
            for try await reads in group { #expect(reads > 0) }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["salvor.prom"])
    }

    private final class Flag: Sendable {
        private let value = Atomic<Bool>(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set() { value.store(true, ordering: .relaxed) }
    }

    @Test("a full disk is an error that says so; the old file stays, and nothing is left beside it")
    func full() throws {
        let folder = try TemporaryDirectory("metrics")
        guard let disk = try SmallDisk.mounted(at: "small", in: folder, kibibytes: 64) else { return }
        let file = WholeFile.metrics("\(disk.path)/salvor.prom")
        try file.write("old\n")
        let failure = failure(file, String(repeating: "x", count: 200 << 10))
        #expect(failure?.code == .localSpace && failure?.summary.contains("salvor.prom") == true)
        #expect(failure?.hint?.contains("Make room") == true)
        #expect(try String(contentsOfFile: file.path, encoding: .utf8) == "old\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path) == ["salvor.prom"])
        try disk.remount("ro")
        #expect(self.failure(file, "new\n")?.code == .localInput)
        withExtendedLifetime(disk) {}
    }

    @Test("a missing folder, a folder of that name and a device are refused before anything is written")
    func refused() throws {
        let folder = try TemporaryDirectory("metrics")
        try folder.write("folder.prom/x", "")
        for (path, words) in [
            (folder("not/there/salvor.prom"), "there is no folder"), (folder("folder.prom"), "is no regular file"),
            ("/dev/full", "is no regular file"), (folder("folder.prom/x/salvor.prom"), "there is no folder"),
        ] {
            let failure = failure(.metrics(path), "x\n")
            #expect(failure?.code == .localInput && failure?.summary.contains(words) == true, "\(path)")
            #expect(failure?.hint?.contains("--collector.textfile.directory") == true)
        }
        #expect(FileManager.default.fileExists(atPath: "/dev/full"))
    }

    @Test("the exporter reads only names that end in .prom")
    func name() {
        #expect(WholeFile.metrics("/x/salvor.prom").isRead && !WholeFile.metrics("/x/salvor.txt").isRead)
    }
}
