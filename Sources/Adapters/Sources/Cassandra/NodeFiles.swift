// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import Foundation

/// Files beside a node, reached by `find`, `tar` and a few others that run there: so it is the same over every transport.
struct NodeFiles: Sendable {
    let transport: any Transport
    let node: String

    /// One regular file.
    struct Entry: Sendable, Equatable {
        /// Absolute.
        var path: String
        var size: UInt64
        /// Nanoseconds since 1970.
        var modified: Int64
        var inode: UInt64
        var mode: UInt32
        var userID: UInt32
        var groupID: UInt32
    }

    /// Messages are looked at, so they must be English.
    private static let plain = ["LC_ALL": "C"]
    /// Arguments for one program: far below what every system takes.
    private static let batch = 400

    /// Regular files below `paths`, or these themselves, in no order.
    ///
    /// - Throws: `Failure(.sourceFailed)` when one is missing or cannot be read.
    func regularFiles(_ paths: [String], depth: Int? = nil) async throws -> [Entry] {
        var entries: [Entry] = []
        for start in stride(from: 0, to: paths.count, by: Self.batch) {
            let arguments =
                ["-H"] + paths[start..<min(start + Self.batch, paths.count)]
                + (depth.map { ["-maxdepth", String($0)] } ?? [])
                + ["-type", "f", "-printf", "%i\\t%s\\t%T@\\t%m\\t%U\\t%G\\t%p\\0"]
            for record in try await run("find", arguments).split(separator: 0) {
                entries.append(try Self.entry(record))
            }
        }
        return entries
    }

    /// Directories that are exactly `depth` levels below `roots` and have that name, which may hold `*`.
    func directories(_ roots: [String], depth: Int, path pattern: String) async throws -> [String] {
        guard !roots.isEmpty else { return [] }
        let arguments =
            ["-H"] + roots
            + [
                // A live node makes and removes folders all the time.
                "-ignore_readdir_race", "-mindepth", String(depth), "-maxdepth", String(depth), "-type", "d", "-path",
                pattern, "-print0",
            ]
        return try await run("find", arguments).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The whole of one small file.
    func read(_ path: String) async throws -> [UInt8] { try await run("cat", ["--", path]) }

    /// The whole of many small files.
    func contents(_ paths: [String]) async throws -> [String: [UInt8]] {
        guard !paths.isEmpty else { return [:] }
        let found = try await tar(paths) { reader, _ in
            var found: [String: [UInt8]] = [:]
            while let header = try reader.next() {
                var bytes: [UInt8] = []
                try reader.readData { _, piece in
                    guard bytes.count + piece.count <= 16 << 20 else {
                        throw Failure(.sourceFailed, "'\(String(decoding: header.path, as: UTF8.self))' is too large")
                    }
                    bytes += piece
                }
                found["/" + String(decoding: header.path, as: UTF8.self)] = bytes
            }
            return found
        }
        if let missing = paths.first(where: { found[$0] == nil }) {
            throw Failure(.sourceFailed, "node '\(node)': '\(missing)' could not be read")
        }
        return found
    }

    /// Gives `body` a tar of the files at `paths`, in their order, on a thread that may block.
    func tar<Result: Sendable>(
        _ paths: [String], _ body: @escaping @Sendable (TarReader, CancellationFlag) throws -> Result
    ) async throws -> Result {
        let list: [UInt8] = paths.flatMap { Array($0.utf8.dropFirst()) + [0] }
        let program = Program(
            "tar",
            [
                "--create", "--file=-", "--format=gnu", "--directory=/", "--no-recursion", "--hard-dereference",
                "--numeric-owner", "--null", "--files-from=-",
            ], environment: Self.plain)
        let (result, exit) = try await transport.run(program) { pipes in
            async let fed: Void = Blocking.run {
                // When tar dies early, its status says why.
                do { try list.withUnsafeBytes { try pipes.write($0) } } catch {}
                try pipes.closeInput()
            }
            let result: Swift.Result<Result, any Error>
            do {
                let value = try await CancellationFlag.run { flag in
                    try body(TarReader(PipeSource(pipes)), flag)
                }
                result = .success(value)
            } catch let error as ArchiveError {
                // Most often tar failed; what it said is more useful.
                result = .failure(Failure(.sourceFailed, "\(error)"))
            }
            try await fed
            return result
        }
        // 1: a file changed while it was read; the node removes other names of snapshotted files at any time, which
        // changes their times only. What was read is held against sizes and digests by the caller.
        let isHarmless =
            exit.status == .exited(1)
            && exit.standardError.split(whereSeparator: \.isNewline)
                .allSatisfy { $0.hasSuffix("file changed as we read it") }
        guard exit.isSuccess || isHarmless else {
            throw Failure(.sourceFailed, "node '\(node)': tar failed (\(exit.status)): \(exit.lastWords)")
        }
        do { return try result.get() } catch let failure as Failure {
            throw failure.prefixed("node '\(node)'")
        }
    }

    /// Extracts the tar that `body` writes below `directory`, which is there, as files of whoever runs the transport.
    func extract<Result: Sendable>(
        into directory: String, _ body: @escaping @Sendable (any ByteSink) async throws -> Result
    ) async throws -> Result {
        let program = Program(
            "tar", ["--extract", "--file=-", "--directory=\(directory)", "--no-same-owner", "--keep-old-files"],
            environment: Self.plain)
        let (result, exit) = try await transport.run(program) { pipes -> Swift.Result<Result, any Error> in
            do {
                let value = try await body(ClosureSink { try pipes.write($0) })
                try pipes.closeInput()
                return .success(value)
            } catch let failure as Failure where failure.code == .programFailed {
                // tar went away; its status says why.
                try pipes.closeInput()
                return .failure(failure)
            }
        }
        guard exit.isSuccess else {
            let isFull = exit.standardError.contains("No space left")
            throw Failure(
                isFull ? .localSpace : .restoreFailed,
                "node '\(node)': tar failed (\(exit.status)): \(exit.lastWords)")
        }
        return try result.get()
    }

    /// Makes directories with those above them.
    func makeDirectories(_ paths: [String]) async throws { try await batched("mkdir", ["-p", "--"], paths) }

    /// Removes trees; succeeds when they are not there.
    func remove(_ paths: [String]) async throws { try await batched("rm", ["-rf", "--"], paths) }

    /// Makes each second path a further name of the first, or a copy where the file system cannot.
    func link(_ pairs: [(from: String, to: String)]) async throws {
        // The script is fixed; paths are arguments.
        let script = """
            while [ "$#" -gt 1 ]; do ln -- "$1" "$2" 2>/dev/null || cp -p -- "$1" "$2" || exit 1; shift 2; done
            """
        for start in stride(from: 0, to: pairs.count, by: Self.batch / 2) {
            let part = pairs[start..<min(start + Self.batch / 2, pairs.count)]
            _ = try await run("sh", ["-c", script, "sh"] + part.flatMap { [$0.from, $0.to] })
        }
    }

    /// Gives files and directories to whoever owns `reference`.
    func own(_ paths: [String], as reference: String) async throws {
        try await batched("chown", ["--reference=\(reference)", "--"], paths)
    }

    /// Free bytes in the file system of `path`.
    func freeBytes(_ path: String) async throws -> UInt64? {
        let text = String(decoding: try await run("df", ["--output=avail", "-B1", "--", path]), as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).last.flatMap {
            UInt64($0.trimmingCharacters(in: .whitespaces))
        }
    }

    /// Whether there is a directory at `path`.
    func isDirectory(_ path: String) async throws -> Bool {
        let (_, exit) = try await transport.outputAndExit(of: Program("test", ["-d", path]))
        return exit.isSuccess
    }

    private func batched(_ program: String, _ options: [String], _ paths: [String]) async throws {
        for start in stride(from: 0, to: paths.count, by: Self.batch) {
            _ = try await run(program, options + paths[start..<min(start + Self.batch, paths.count)])
        }
    }

    @discardableResult
    private func run(_ program: String, _ arguments: [String]) async throws -> [UInt8] {
        let program = Program(program, arguments, environment: Self.plain)
        let (bytes, exit) = try await transport.outputAndExit(of: program, limit: 1 << 30)
        guard exit.isSuccess else {
            let isDenied = exit.standardError.contains("Permission denied")
            throw Failure(
                isDenied ? .sourceDenied : .sourceFailed,
                "node '\(node)': \(program.name) failed (\(exit.status)): \(exit.lastWords)",
                hint: isDenied ? "Run as the node's user, or as one who may read its data." : nil)
        }
        return bytes
    }

    private static func entry(_ record: ArraySlice<UInt8>) throws -> Entry {
        let fields = record.split(separator: UInt8(ascii: "\t"), maxSplits: 6, omittingEmptySubsequences: false)
            .map { String(validating: $0, as: UTF8.self) }
        guard fields.count == 7, let inode = fields[0].flatMap(UInt64.init), let size = fields[1].flatMap(UInt64.init),
            let modified = fields[2].flatMap(nanoseconds), let mode = fields[3].flatMap({ UInt32($0, radix: 8) }),
            let user = fields[4].flatMap(UInt32.init), let group = fields[5].flatMap(UInt32.init), let path = fields[6]
        else {
            throw Failure(
                .sourceFailed, "find printed something that is not understood",
                hint: "GNU find is needed beside the node, and file names in UTF-8.")
        }
        return Entry(
            path: path, size: size, modified: modified, inode: inode, mode: mode, userID: user, groupID: group)
    }

    /// `1625783969.7240000000` in nanoseconds.
    private static func nanoseconds(_ text: String) -> Int64? {
        let parts = text.split(separator: ".", maxSplits: 1)
        guard let seconds = parts.first.flatMap({ Int64($0) }) else { return nil }
        let fraction = parts.count > 1 ? String(parts[1].prefix(9)) : ""
        let padded = fraction + String(repeating: "0", count: 9 - fraction.utf8.count)
        return Int64(padded).map { seconds * 1_000_000_000 + $0 }
    }
}

/// A program's output as the input of an archive reader. Its end counts only with the archive's own end marker, which the
/// reader looks for, and with the program's status.
private final class PipeSource: ByteSource {
    private let pipes: any ProgramPipes
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)

    init(_ pipes: any ProgramPipes) {
        self.pipes = pipes
    }

    deinit {
        buffer.deallocate()
    }

    func nextChunk() throws -> UnsafeRawBufferPointer? {
        let count = try pipes.read(into: buffer)
        return count == 0 ? nil : UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }
}
