// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem
import Foundation
import TestSupport
import Testing

@testable import Files

/// A tree on the real file system, captured and described by independent means.
final class TreeFixture: Sendable {
    let folder: TemporaryDirectory
    /// The source's one root.
    let root: String

    init(_ name: String = "tree") throws {
        folder = try TemporaryDirectory(name)
        root = folder("root")
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: false)
    }

    static let isRoot = geteuid() == 0

    /// Writes a text file below the root.
    func write(_ name: String, _ text: String) throws { try folder.write("root/\(name)", text) }

    /// Removes a file or directory below the root.
    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(root)/\(name)") }

    /// Runs a Python script with the root as working directory.
    func python(_ script: String, in directory: String? = nil) throws {
        try ShortCommand.run(
            "python3",
            ["-c", "import os, sys, stat, time, struct, socket\nos.chdir(sys.argv[1])\n" + script, directory ?? root])
    }

    /// Settings as a plan would have them.
    static func settings(_ values: [String: [String]]) throws -> FilesSettings {
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        return try FilesSettings(
            .mapping(
                values.sorted { $0.key < $1.key }.map { key, texts in
                    let nodes = texts.map { ConfigNode.scalar($0, isQuoted: false, mark) }
                    let isList = ["paths", "exclude", "include", "allow-unreadable"].contains(key)
                    return (key: key, mark: mark, value: isList ? .sequence(nodes, mark) : nodes[0])
                }, mark))
    }

    /// The source's adapter.
    func adapter(_ values: [String: [String]] = [:]) throws -> FilesAdapter {
        FilesAdapter(try Self.settings(["paths": [root]].merging(values) { $1 }))
    }

    /// Captures; with `base`, what changed since.
    func capture(
        _ adapter: FilesAdapter, base: MemoryCapture? = nil
    ) async throws -> (MemoryCapture, MemoryStream, CaptureReport) {
        try waitForClock()
        let capture = MemoryCapture(base: base)
        let report = try await adapter.capture(into: capture)
        guard let stream = capture.stream("tree") else { throw Failure(.internalError, "no stream") }
        return (capture, stream, report)
    }

    /// What was changed within the last clock ticks is stored again; tests want to see it unchanged.
    private func waitForClock() throws {
        func now() -> Int64 {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME_COARSE, &time)
            return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        }
        let start = now()
        while now() <= start + RecentChange.nanoseconds + 10_000_000 { usleep(1000) }
    }

    /// One line for every file: all that a restore must bring back, as Python sees it.
    static func describe(_ path: String) throws -> [String] {
        let script = """
            import os, sys, stat, hashlib
            top = os.fsencode(sys.argv[1]); links = {}; lines = []
            def look(fd, name, path):
                s = os.lstat(name, dir_fd=fd) if fd is not None else os.lstat(name)
                kind = stat.S_IFMT(s.st_mode); extra = ""
                if stat.S_ISREG(kind):
                    h = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
                    with open(h, "rb") as f: extra = hashlib.sha256(f.read()).hexdigest()
                    first = links.setdefault((s.st_dev, s.st_ino), path)
                    extra += " =%r holes=%s" % (first, s.st_blocks * 512 < s.st_size)
                if stat.S_ISLNK(kind): extra = repr(os.readlink(name, dir_fd=fd))
                if stat.S_ISCHR(kind) or stat.S_ISBLK(kind): extra = str(s.st_rdev)
                attributes = []
                if fd is None or len(path) < 3000:
                    full = top + b"/" + path if path else top
                    for a in sorted(os.listxattr(full, follow_symlinks=False)):
                        attributes.append((a, os.getxattr(full, a, follow_symlinks=False)))
                size = 0 if stat.S_ISDIR(kind) else s.st_size
                lines.append("%r %o %d:%d %d %d %s %r" % (path, s.st_mode, s.st_uid, s.st_gid, s.st_mtime_ns, size, extra, attributes))
                if stat.S_ISDIR(kind):
                    d = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                    for n in sorted(map(os.fsencode, os.listdir(d))): look(d, n, path + b"/" + n if path else n)
                    os.close(d)
            look(None, top, b"")
            print("\\n".join(lines))
            """
        return try ShortCommand.run("python3", ["-c", script, path]).split(separator: "\n").map(String.init)
    }

    /// Expects two trees to be alike, and tells what is not.
    static func expectEqual(
        _ left: String, _ right: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let (a, b) = (try describe(left), try describe(right))
        let (missing, unexpected) = (Set(a).subtracting(b), Set(b).subtracting(a))
        let text = missing.sorted().map { "- \($0)" } + unexpected.sorted().map { "+ \($0)" }
        #expect(a == b, Comment(rawValue: text.joined(separator: "\n")), sourceLocation: sourceLocation)
    }

    /// The path a root has in the archive, below another directory.
    func below(_ directory: String) -> String { directory + root }

    /// Extracts a stream with `TreeRestore` into a new folder and gives the path of the root in it.
    func extracted(
        _ stream: any StoredStream, include: [String] = [], devices: Bool = true
    ) async throws -> (root: String, report: TreeRestoreReport) {
        let target = folder("extracted-\(UUID().uuidString)")
        let report = try await TreeRestore.extract(
            stream: stream, into: target, include: include, allowsDevices: devices)
        return (below(target), report)
    }

    /// Makes a new folder and gives its path.
    func newFolder(_ name: String) throws -> String {
        let path = folder("\(name)-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        return path
    }

    /// Writes a stream's bytes to a file.
    func save(_ stream: MemoryStream) throws -> String {
        let path = folder("\(UUID().uuidString).tar")
        try Data(stream.bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// Everything a file can have. As another user than root: what that user may make.
    func fillWithEverything() throws {
        try python(
            """
            root = os.geteuid() == 0
            def put(name, data=b"", mode=0o644):
                with open(name, "wb") as f: f.write(data)
                os.chmod(name, mode)
            put("plain", b"content"); put("empty"); put("run", b"#!/bin/sh", 0o4755); put("secret", b"x", 0o600)
            put(b"new\\nline", b"1"); put(b"bytes\\xff\\xfe", b"2"); put("umlaut-\\u00e4", b"3"); put("decomposed-a\\u0308", b"4")
            put("n" * 255, b"5"); put("back\\\\slash", b"6"); put(" ", b"7"); put("-rf", b"8")
            deep = "/".join(["part" * 10] * 40)
            os.makedirs(deep); put(deep + "/bottom", b"9")
            with open("sparse", "wb") as f:
                f.write(b"start"); f.seek(5 << 20); f.write(b"middle"); f.truncate(9 << 20)
            with open("hole", "wb") as f: f.truncate(3 << 20)
            put("large", bytes(range(256)) * 10000)
            os.makedirs("links"); put("links/a", b"linked"); os.link("links/a", "links/b"); os.link("links/a", "z-link")
            os.symlink("nowhere", "dangling"); os.symlink("/etc", "outside"); os.symlink(b"\\xff/target", "bytes-link")
            os.symlink("x" * 4000, "long-link")
            os.mkfifo("fifo", 0o640)
            os.mkdir("sticky"); os.chmod("sticky", 0o1777); os.mkdir("group"); os.chmod("group", 0o2750)
            os.setxattr("plain", "user.comment", b"with\\0zero"); os.setxattr("sticky", "user.big", b"v" * 1000)
            def acl(*entries): return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
            none = 0xffffffff
            extended = acl((1, 6, none), (2, 6, 12345), (4, 4, none), (8, 5, 54321), (16, 6, none), (32, 0, none))
            os.setxattr("secret", "system.posix_acl_access", extended)
            os.mkdir("shared"); os.setxattr("shared", "system.posix_acl_default", extended)
            if root:
                os.chown("plain", 12345, 54321); os.lchown("dangling", 12345, 54321)
                os.chown("large", 3000000, 3000001)
                os.setxattr("trusted" if os.path.exists("trusted") else "empty", "trusted.note", b"t")
                put("capable", b"elf", 0o755)
                os.setxattr("capable", "security.capability", struct.pack("<IIIII", 0x02000001, 0x2000, 0, 0, 0))
                os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3)); os.mknod("block", stat.S_IFBLK | 0o600, os.makedev(7, 300))
            times = [("plain", 1700000000123456789), ("empty", -1500000000000000000), ("large", 4294967296000000001), ("fifo", 5), ("links/a", 1)]
            for name, t in times: os.utime(name, ns=(t, t))
            os.utime("dangling", ns=(7, 1600000000000000007), follow_symlinks=False)
            for name in ("links", "sticky", "shared", "group"): os.utime(name, ns=(9, 1500000000987654321))
            """)
    }
}
