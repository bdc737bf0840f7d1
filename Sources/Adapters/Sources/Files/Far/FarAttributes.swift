// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem

/// Attributes of far files. GNU `tar` is the one program there that tells all of them, so it sends the files; what is in
/// them is not looked at. Only files that are to have attributes are asked for.
enum FarAttributes {
    /// What these files have, by path; paths have no leading slash.
    static func look(at paths: [[UInt8]], _ host: FarHost) async throws -> AttributeVerification.Far {
        guard !paths.isEmpty else { return [:] }
        let program = FarHost.program(
            "tar",
            [
                "--create", "--file=-", "--format=posix", "--xattrs", "--xattrs-include=*", "--quoting-style=literal",
                "--directory=/", "--no-recursion", "--null", "--verbatim-files-from", "--files-from=-",
            ])
        let source = PushedSource()
        let (found, exit) = try await withTaskCancellationHandler {
            try await host.transport.run(program) { pipes in
                async let fed: Void = Blocking.run {
                    // A 'tar' that ends early says why; a broken pipe would hide it.
                    do {
                        for path in paths { try (path + [0]).withUnsafeBytes { try pipes.write($0) } }
                    } catch is Failure {}
                    try pipes.closeInput()
                }
                async let found = Blocking.run {
                    defer { source.close() }
                    return try read(source)
                }
                do {
                    try await Blocking.run { _ = try pipes.forEachChunk { try source.write($0) } }
                    source.finish()
                } catch {
                    source.fail(error)
                    do { _ = try await found } catch let reason {
                        throw error is PushedSource.ReaderGone ? reason : error
                    }
                    throw error
                }
                try await fed
                return try await found
            }
        } onCancel: {
            source.fail(CancellationError())
        }
        guard exit.isSuccess else {
            throw Failure(
                .restoreFailed, "\(host.transport.description): tar failed (\(exit.status)): \(exit.lastWords)")
        }
        return found
    }

    private static func read(_ source: PushedSource) throws -> AttributeVerification.Far {
        do {
            var found: AttributeVerification.Far = [:]
            let reader = try TarReader(source)
            while var header = try reader.next() {
                FarPacker.takeAccessLists(&header)
                found[header.path] = Dictionary(
                    header.unlisted.map { ($0.name, MemberAttributes.ValueMark(of: $0.value)) },
                    uniquingKeysWith: { $1 })
            }
            return found
        } catch let error as ArchiveError {
            throw Failure(.restoreFailed, "the far 'tar' sent something that cannot be read: \(error)")
        }
    }

    /// Kinds of attributes that a far file system does not have, by what the `tar` that extracted to it said.
    static func refused(_ words: String) -> Set<String> {
        var refused: Set<String> = []
        for line in words.split(separator: "\n") where line.hasSuffix(": Operation not supported") {
            if line.contains("acl_") {
                refused.insert("ACL")
            } else if let start = line.firstRange(of: "Cannot set '")?.upperBound {
                let name = line[start...].prefix { $0 != "'" }
                refused.insert(AttributeVerification.kind(Array(name.utf8)))
            }
        }
        return refused
    }
}
