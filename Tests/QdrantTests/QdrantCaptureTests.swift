// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Qdrant

@Suite("Qdrant capture")
struct QdrantCaptureTests {
    private func double(_ version: String = "1.15.4", key: String? = nil) throws -> QdrantDouble {
        let double = try QdrantDouble(version: version, key: key)
        double.put("docs", QdrantFixture.collection(100))
        double.put("empty", QdrantFixture.collection(0))
        double.alias("live", to: "docs")
        return double
    }

    @Test("snapshots, aliases and parameters are in the bundle, counts in the facts, and nothing stays on the server")
    func whole() async throws {
        let double = try double(key: "s3cret")
        let fixture = try QdrantFixture(double.url, key: "s3cret")
        let copy = try await fixture.capture()
        #expect(copy.report.engine == "Qdrant 1.15.4")
        #expect(copy.report.facts["collection docs points"] == .count(100))
        #expect(copy.report.facts["collection empty points"] == .count(0))
        #expect(copy.report.facts["collection docs vectors"] == .text("{\"distance\":\"Dot\",\"size\":2}"))
        #expect(copy.capture.streams.map(\.name) == ["collections", "snapshot-docs", "snapshot-empty"])
        let bytes = try #require(copy.capture.bytes("snapshot-docs"))
        #expect(try PlainSnapshots().decode(bytes).points.count == 100)
        #expect(
            String(decoding: copy.capture.bytes("collections") ?? [], as: UTF8.self).contains("\"live\" : \"docs\""))
        #expect(double.snapshots == [])
        #expect(await fixture.notes.all().isEmpty)
        #expect(copy.report.notices == [])
        #expect(!"\(copy.report)".contains("s3cret"))
    }

    @Test("only chosen collections are taken, and one that is missing is an error")
    func choice() async throws {
        let double = try double()
        var fixture = try QdrantFixture(double.url)
        fixture.extra = [("collections", QdrantFixture.scalar("doc*"))]
        #expect(try await fixture.capture().capture.streams.map(\.name) == ["collections", "snapshot-docs"])
        fixture.extra = [("collections", QdrantFixture.list([QdrantFixture.scalar("gone")]))]
        await #expect(throws: Failure.self) { _ = try await fixture.capture() }
        #expect(await fixture.adapterChecks().contains { $0.state == .failed && $0.name == "collections" })
    }

    @Test(
        "a snapshot that is damaged, cut off or refused fails the source, says where, and leaves nothing behind",
        arguments: [
            (QdrantDouble.Fault.flippedBit, "checksum"), (.truncated, "reading snapshot"),
            (.refusesSnapshots(507), "making a snapshot of collection 'docs': answered 507"),
            (.refusesSnapshots(403), "answered 403"), (.remoteShard, "shards 1 of collection 'docs'"),
        ])
    func faults(_ fault: QdrantDouble.Fault, _ words: String) async throws {
        let double = try double()
        let fixture = try QdrantFixture(double.url)
        double.set(fault)
        await #expect {
            _ = try await fixture.capture()
        } throws: {
            let failure = $0 as? Failure
            return failure?.summary.contains(words) == true && failure?.hint != nil
        }
        #expect(double.snapshots == [])
    }

    @Test("a run that ends between snapshot and answer leaves a note, and the next run removes the snapshot")
    func crash() async throws {
        let double = try double()
        let fixture = try QdrantFixture(double.url)
        double.addSnapshot("theirs.snapshot", of: "docs")
        double.set(.diesAfterSnapshot)
        // The answer is lost, as for a run that is killed there; what came since can only be the one.
        await #expect(throws: Failure.self) { _ = try await fixture.capture() }
        #expect(double.snapshots == ["theirs.snapshot"])
        double.set()
        _ = try await fixture.capture()
        #expect(double.snapshots == ["theirs.snapshot"])
    }

    @Test("a snapshot that an earlier run noted is removed by the next one, somebody else's never")
    func leftovers() async throws {
        let double = try double()
        let fixture = try QdrantFixture(double.url)
        _ = try await fixture.adapter().freeze()  // and never released, as after a kill
        double.addSnapshot("theirs.snapshot", of: "docs")
        #expect(double.snapshots.count == 3)
        #expect(await fixture.adapterChecks().contains { $0.name == "left behind" })
        let copy = try await fixture.capture()
        #expect(copy.report.notices.filter { $0.hasPrefix("removed what an earlier run left behind") }.count == 2)
        #expect(double.snapshots == ["theirs.snapshot"])
        // Two new ones and a note without a name: a guess could delete somebody's backup.
        await fixture.notes.add(
            FreezeNote(
                id: "qdrant-x", what: "a snapshot", data: ["node": "", "collection": "docs", "before": []],
                noted: SystemClock().now()))
        double.addSnapshot("also-theirs.snapshot", of: "docs")
        let again = try await fixture.capture()
        #expect(again.report.notices.contains { $0.contains("by hand: theirs.snapshot, also-theirs.snapshot") })
        #expect(double.snapshots.count == 2)
    }

    @Test("a run that is cancelled in the middle of a snapshot leaves none on the server", .timeLimit(.minutes(1)))
    func cancelled() async throws {
        let double = try double()
        let fixture = try QdrantFixture(double.url)
        double.set(.stalls)
        let run = Task { try await fixture.capture() }
        while !double.requests.contains(where: { $0.hasPrefix("GET") && $0.hasSuffix(".snapshot") }) {
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(double.snapshots.count == 2)
        run.cancel()
        await #expect(throws: CancellationError.self) { _ = try await run.value }
        #expect(double.snapshots == [])
        #expect(await fixture.notes.all().isEmpty)
    }

    @Test("points that come while the snapshot is taken are a notice, and no exact fact")
    func writes() async throws {
        let double = try double()
        let fixture = try QdrantFixture(double.url)
        double.set(.writes, .throttles, .noChecksum)
        let copy = try await fixture.capture()
        #expect(copy.report.facts["collection docs points"] == nil)
        #expect(copy.report.notices.contains { $0.contains("points of collection 'docs' changed") })
        #expect(copy.report.notices.contains { $0.contains("no checksum") })
        double.set()
        try await fixture.restoreFully(try fixture.restore(copy), fixture.journal)
        #expect(double.aliases["live"] == "docs__salvor_k3f9")
    }

    @Test("a frozen source is read later, as it was")
    func frozen() async throws {
        let double = try double()
        let fixture = try QdrantFixture(double.url)
        let frozen = try await fixture.adapter().freeze()
        #expect(frozen.frozen.from <= frozen.frozen.to)
        double.put("docs", QdrantFixture.collection(3))
        let sink = MemoryCapture()
        let report = try await frozen.capture(into: sink)
        try await frozen.release()
        #expect(report.facts["collection docs points"] == .count(100))
        #expect(try PlainSnapshots().decode(try #require(sink.bytes("snapshot-docs"))).points.count == 100)
        #expect(double.snapshots == [])
    }

    @Test("every node of a cluster gives its own snapshot, and a node that is left out fails the source")
    func nodes() async throws {
        let (one, two) = (try double(), try double())
        two.put("docs", QdrantFixture.collection(100))
        var fixture = try QdrantFixture(one.url)
        let nodes = [("a", one.url), ("b", two.url)].map {
            QdrantFixture.mapping([
                ("name", QdrantFixture.scalar($0.0)), ("url", QdrantFixture.scalar($0.1)),
                ("transport", QdrantFixture.scalar("local")),
            ])
        }
        fixture.extra = [("nodes", QdrantFixture.list(nodes)), ("collections", QdrantFixture.scalar("docs"))]
        #expect(
            try await fixture.capture().capture.streams.map(\.name)
                == ["collections", "snapshot-a-docs", "snapshot-b-docs"])
        #expect(one.snapshots == [] && two.snapshots == [])
        one.set(.remoteShard)
        await #expect(throws: Failure.self) { _ = try await fixture.capture() }
        #expect(one.snapshots == [] && two.snapshots == [])
    }

    @Test("preflight tells a wrong key, a wrong server and a silent port")
    func preflight() async throws {
        let double = try double(key: "right")
        #expect(try await QdrantFixture(double.url, key: "right").adapterChecks().allSatisfy { $0.state == .ok })
        let wrong = try await QdrantFixture(double.url, key: "wrong").adapterChecks()
        #expect(wrong.first?.code == Failure.Code.sourceDenied.text)
        #expect(!"\(wrong)".contains("wrong-key") && wrong.first?.remedy != nil)
        let other = try HTTPDouble { _ in .response(200, body: Array("{\"hello\":1}".utf8)) }
        #expect(try await QdrantFixture(other.url).adapterChecks().first?.state == .failed)
        let port = try LoopbackSocket.freePorts(1)[0]
        #expect(
            try await QdrantFixture("http://127.0.0.1:\(port)").adapterChecks().first?.code
                == Failure.Code.sourceUnreachable.text)
    }

    @Test("settings are strict")
    func settings() throws {
        var fixture = try QdrantFixture("http://127.0.0.1:6333")
        for bad in [("colections", "all"), ("timeout", "0"), ("nodes", "x")] {
            fixture.extra = [(bad.0, QdrantFixture.scalar(bad.1))]
            #expect(throws: Failure.self) { _ = try fixture.adapter() }
        }
    }
}

extension QdrantFixture {
    func adapterChecks() async -> [Check] {
        do { return try await adapter().preflight() } catch {
            return [Check("settings", .failed, "\(error)")]
        }
    }
}
