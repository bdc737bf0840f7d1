// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import FileSystem
import Synchronization

extension FarHost {
    /// A listing and what was noteworthy about it.
    struct Listed: Sendable {
        var listing: FarListing
        var notices = Notices()
    }

    /// Everything at and below an absolute path, which must be there.
    ///
    /// - Parameter allowed: what may be unreadable.
    func list(_ path: String, oneFileSystem: Bool, allowed: PathPatterns) async throws -> Listed {
        let box = Mutex(FarListing())
        let arguments = [path] + (oneFileSystem ? ["-xdev"] : [])
        let (_, exit) = try await transport.stream(Self.script(FarListing.script, arguments)) { chunk in
            try box.withLock { try $0.take(chunk) }
        }
        let complaints = FarComplaints(exit.standardError, of: "find")
        guard exit.isSuccess || (exit.status == .exited(1) && complaints.isWhole && complaints.other.isEmpty) else {
            throw Failure(
                .sourceFailed,
                "\(transport.description): find failed (\(exit.status)): \(complaints.other.first ?? exit.lastWords)")
        }
        let found = box.withLock { $0 }
        var listed = Listed(
            listing: try await Blocking.run {
                var whole = found
                try whole.finish()
                return whole
            })
        if complaints.vanished.contains(Array(path.utf8)) || listed.listing.entries.isEmpty {
            throw Failure(
                .sourceFailed, "\(transport.description): '\(path)' does not exist",
                hint: "Correct the source's paths, or create it.")
        }
        for path in complaints.vanished { listed.notices.add("'\(PathText.display(path))' vanished during the walk") }
        try complaints.requireAllowed(allowed, &listed.notices)
        return listed
    }
}

/// What `find` or `tar` complained about, by kind.
struct FarComplaints: Sendable {
    var vanished: Set<[UInt8]> = []
    var denied: Set<[UInt8]> = []
    var changed: Set<[UInt8]> = []
    /// Lines that are none of these.
    var other: [String] = []
    /// Whether nothing of the complaints was lost: only their last part is kept.
    var isWhole: Bool

    init(_ text: String, of program: String) {
        isWhole = text.utf8.count < 16 << 10
        for line in text.split(separator: "\n") {
            guard line.hasPrefix("\(program): ") else {
                other.append(String(line))
                continue
            }
            let words = line.dropFirst(program.count + 2)
            guard !words.hasPrefix("Exiting with failure status") else { continue }
            let endings: [(ending: String, kind: WritableKeyPath<FarComplaints, Set<[UInt8]>>)] = [
                (": No such file or directory", \.vanished), (": File removed before we read it", \.vanished),
                (": Permission denied", \.denied), (": Operation not permitted", \.denied),
                (": file changed as we read it", \.changed),
            ]
            if let found = endings.first(where: { words.hasSuffix($0.ending) }) {
                self[keyPath: found.kind].insert(Self.path(words.dropLast(found.ending.count)))
            } else if let at = words.firstRange(of: ": File shrank by ") {
                changed.insert(Self.path(words[..<at.lowerBound]))
            } else {
                other.append(String(words))
            }
        }
    }

    /// The path of `'/a/b'` (find) or of `a/b: Cannot open` (tar).
    private static func path(_ text: Substring) -> [UInt8] {
        var text = text
        for call in [": Cannot stat", ": Cannot open", ": Cannot readlink", ": Cannot savedir", ": Cannot opendir"]
        where text.hasSuffix(call) { text = text.dropLast(call.count) }
        if text.utf8.count > 1, text.hasPrefix("'"), text.hasSuffix("'") { text = text.dropFirst().dropLast() }
        return Array(text.utf8)
    }

    /// Notes what may be unreadable.
    ///
    /// - Throws: `Failure(.sourceDenied)` for anything else that is.
    func requireAllowed(_ allowed: PathPatterns, _ notices: inout Notices) throws {
        for path in denied.sorted(by: { WalkOrder.compare($0, $1) < 0 }) {
            let name = "/" + PathText.display(Array(path.drop { $0 == UInt8(ascii: "/") }))
            let isAllowed = Array(name.utf8.dropFirst()).withUnsafeBufferPointer {
                allowed.matchWithin($0, isDirectory: true)
            }
            guard isAllowed else {
                throw Failure(
                    .sourceDenied, "no permission to read '\(name)'",
                    hint: "Reach the source as a user who may, exclude it, or list it under 'allow-unreadable'.")
            }
            notices.add("no permission to read '\(name)': not stored")
        }
    }
}
