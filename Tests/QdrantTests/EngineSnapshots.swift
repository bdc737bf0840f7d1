// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport

/// Snapshots made, loaded, counted and searched by Qdrant's real engine (qdrant-edge-py, scripts/install-test-search).
///
/// The engine knows shards, so these are snapshots of a shard, in the layout of the server: a wrong one would load with
/// no points and without an error.
struct EngineSnapshots: QdrantDouble.Codec {
    func encode(_ collection: QdrantDouble.Collection) throws -> [UInt8] {
        let folder = try TemporaryDirectory("engine")
        let points = collection.points.sorted { $0.key < $1.key }.map(\.value)
        try folder.write("points.json", String(decoding: try JSONEncoder().encode(points), as: UTF8.self))
        try run("make", folder("shard.snapshot"), input: folder("points.json"))
        return Array(try Data(contentsOf: URL(fileURLWithPath: folder("shard.snapshot"))))
    }

    func decode(_ bytes: [UInt8]) throws -> QdrantDouble.Collection {
        let json = try inspect(bytes)
        var collection = QdrantFixture.collection(0)
        for point in json["points"]?.array ?? [] { collection.points[point["id"]?.integer ?? -1] = point }
        guard Int64(collection.points.count) == json["count"]?.integer else {
            throw ShortCommand.Failed(description: "the engine counts other points than it shows")
        }
        return collection
    }

    /// What the engine finds in a snapshot: `count`, `points`, and the id of the point nearest to the ones (`top`).
    func inspect(_ bytes: [UInt8]) throws -> JSONValue {
        let folder = try TemporaryDirectory("engine")
        try Data(bytes).write(to: URL(fileURLWithPath: folder("shard.snapshot")))
        let output = try run("read", folder("shard.snapshot"), input: "/dev/null")
        return try JSONDecoder().decode(JSONValue.self, from: Data(output.utf8))
    }

    @discardableResult
    private func run(_ mode: String, _ path: String, input: String) throws -> String {
        let script = "exec \"$1\" -c \"$2\" \"$3\" \"$4\" <\"$5\""
        return try ShortCommand.run(
            "sh", ["-c", script, "sh", Self.python, Self.program, mode, path, input])
    }

    /// The interpreter of the virtual environment, which alone has the module.
    private static var python: String {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["SALVOR_TEST_PYTHON"], !path.isEmpty { return path }
        let home = environment["HOME"] ?? "/root"
        let cache = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "\(home)/.cache"
        return "\(cache)/salvor-tests/bin/python"
    }

    private static let program = """
        import io, json, os, shutil, sys, tarfile, tempfile
        from qdrant_edge import *
        mode, path = sys.argv[1], sys.argv[2]
        folder = tempfile.mkdtemp(dir=os.path.dirname(path))
        shard = folder + "/shard"
        try:
            if mode == "make":
                os.mkdir(shard)
                points = json.load(sys.stdin)
                config = EdgeConfig(vectors=EdgeVectorParams(size=len(points[0]["vector"]), distance=Distance.Dot))
                engine = EdgeShard.create(shard, config)
                engine.update(UpdateOperation.upsert_points(
                    [Point(p["id"], p["vector"], p["payload"]) for p in points]))
                engine.flush()
                engine.close()
                # Each segment is a tar of its own, beside them the shard's own files.
                with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as outer:
                    for segment in sorted(os.listdir(shard + "/segments")):
                        inner = io.BytesIO()
                        with tarfile.open(fileobj=inner, mode="w", format=tarfile.GNU_FORMAT) as tar:
                            tar.add(f"{shard}/segments/{segment}", "snapshot/files")
                        entry = tarfile.TarInfo(f"segments/{segment}.tar")
                        entry.size = inner.tell()
                        inner.seek(0)
                        outer.addfile(entry, inner)
                    for name in sorted(os.listdir(shard)):
                        if name.endswith(".json"):
                            outer.add(f"{shard}/{name}", name)
            else:
                EdgeShard.unpack_snapshot(path, shard)
                engine = EdgeShard.load(shard)
                count = engine.count(CountRequest(exact=True))
                found = engine.scroll(ScrollRequest(limit=count + 1, with_payload=True, with_vector=True))
                records = found[0] if isinstance(found, tuple) else found
                size = len(records[0].vector) if records else 1
                best = engine.search(SearchRequest(query=Query.Nearest([1.0] * size), limit=1))
                engine.close()
                points = [{"id": r.id, "vector": list(r.vector), "payload": r.payload} for r in records]
                json.dump({"count": count, "top": best[0].id if best else None, "points": points}, sys.stdout)
        finally:
            shutil.rmtree(folder)
        """
}
