// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import FileSystem
import Glibc
import Synchronization

/// Files and directories of this host (docs/sources/files.md).
struct FilesAdapter: SourceAdapter {
    /// The name of its only stream.
    static let stream = "tree"

    var settings: FilesSettings
    /// Where restores put the paths of the bundle, in the stead of the root of the file system; empty: there.
    var restoresBelow = ""
    /// Called before every step of a promotion or a roll-back; tests break off there.
    var beforeStep: (@Sendable (String) throws -> Void)?

    init(_ settings: FilesSettings) {
        self.settings = settings
    }

    func preflight() async -> [Check] {
        var checks = settings.paths.map(Self.check)
        if geteuid() != 0 {
            checks.append(
                Check(
                    "privileges", .warning, "not running as root: files this user may not read fail the source",
                    remedy: "Grant CAP_DAC_READ_SEARCH, or run as root."))
        }
        return checks
    }

    private static func check(_ path: String) -> Check {
        let name = "path \(path)"
        do {
            guard let status = try FileStatus.find(Array(path.utf8)) else {
                return Check(
                    name, .failed, "'\(path)' does not exist", remedy: "Correct the source's paths, or create it.",
                    code: .preflightRefused)
            }
            switch status.kind {
            case .directory:
                _ = try Descriptor.directory(Array(path.utf8))
                return Check(name, .ok, "directory")
            case .file:
                guard access(path, R_OK) == 0 else { throw SystemError("open", path: path.utf8) }
                return Check(name, .ok, "file of \(status.size) bytes")
            case .symbolicLink:
                return Check(
                    name, .warning, "'\(path)' is a symbolic link: the link is stored, not what it points to",
                    remedy: "Name its target instead, if that is meant.")
            case .socket, .other:
                return Check(name, .failed, "'\(path)' cannot be stored", code: .preflightRefused)
            case .fifo, .characterDevice, .blockDevice: return Check(name, .ok, "special file")
            }
        } catch {
            return Check(
                name, .failed, String(describing: error), remedy: "Run as a user who may read it.", code: .sourceDenied)
        }
    }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let roots = settings.paths.map(TreeRoot.init(path:))
        let capture = TreeCapture(roots: roots, walking: settings.walking, packing: settings.packing)
        let kinds = try await Blocking.run { try roots.map(Self.kind) }
        let outcome = OutcomeBox()
        _ = try await sink.tree(Self.stream, estimatedBytes: nil) { sink, base in
            let found = try await CancellationFlag.run { try capture.run(into: sink, base: base, flag: $0) }
            outcome.value.withLock { $0 = found }
            return found.end
        }
        guard let found = outcome.value.withLock({ $0 }) else {
            throw Failure(.internalError, "the capture of files ended without a result")
        }
        let paths = zip(settings.paths, kinds).map { path, kind in
            JSONValue.object(["path": .string(path), "kind": .string(kind)])
        }
        return CaptureReport(
            engine: "files", facts: found.counts.facts, restoreData: ["roots": .array(paths)], notices: found.notices)
    }

    private static func kind(of root: TreeRoot) throws -> String {
        let parent = try Descriptor.directory(root.parent, followingLinks: true)
        guard let status = try FileStatus.find(root.name, in: parent.raw) else {
            throw Failure(
                .sourceFailed, "'/\(PathText.display(root.member))' does not exist",
                hint: "Correct the source's paths, or create it.")
        }
        return status.kind == .directory ? "directory" : "file"
    }
}

/// Carries a capture's outcome out of the stream's closure.
private final class OutcomeBox: Sendable {
    let value = Mutex<TreeCapture.Outcome?>(nil)
}
