// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
public import Domain
import FileSystem
import Glibc

/// Writes tar streams of any source as files below a folder.
public enum TreeRestore {
    /// Extracts `stream` (with its base, if it is an incremental) below `directory`, which is made if it is missing.
    /// Nothing that is there is replaced.
    ///
    /// - Parameters:
    ///   - include: patterns of members (see docs/sources/files.md); empty: all of them.
    ///   - allowsDevices: whether device nodes are made; otherwise they are left out and counted in a notice.
    /// - Throws: `Failure(.integrity)` when the archive is not what its list says, `Failure(.nothingSelected)`,
    ///   `Failure(.restoreFailed)` and `Failure(.localSpace)` for what cannot be written.
    public static func extract(
        stream: any StoredStream, into directory: String, include: [String] = [], allowsDevices: Bool = false
    ) async throws -> TreeRestoreReport {
        let members = try EffectiveMembers(stream)
        let selection = try TreeSelection(members, include: try PathPatterns(include), includesDevices: allowsDevices)
        let root = try await Blocking.run {
            do {
                try makeDirectories(directory)
                return try Descriptor.directory(Array(directory.utf8), followingLinks: true)
            } catch let error as SystemError {
                throw Failure(.restoreFailed, "unable to make the folder: \(error)")
            }
        }
        let (report, _) = try await TreeExtraction(
            stream: stream, members: members, selection: selection,
            destinations: [ExtractionDestination(directory: root)],
            rules: ExtractionRules(allowsDevices: allowsDevices)
        ).run()
        var result = TreeRestoreReport(report)
        if selection.skippedDevices > 0 { result.notices.append("\(selection.skippedDevices) devices were not made") }
        return result
    }

    /// Makes a directory and those above it, as far as they are missing; returns those it made, outermost first.
    @discardableResult
    static func makeDirectories(_ path: String) throws -> [String] {
        var made: [String] = []
        var prefix = ""
        for part in path.split(separator: "/") {
            prefix += prefix.isEmpty && !path.hasPrefix("/") ? String(part) : "/\(part)"
            if mkdir(prefix, 0o755) == 0 {
                made.append(prefix)
            } else if errno != EEXIST {
                throw SystemError("make directory", path: prefix.utf8)
            }
        }
        return made
    }
}

/// What was extracted.
public struct TreeRestoreReport: Sendable, Equatable {
    public var files: Int
    public var directories: Int
    public var symbolicLinks: Int
    public var hardLinks: Int
    /// Fifos and devices.
    public var specials: Int
    /// Apparent bytes of the files.
    public var bytes: UInt64
    /// What could not be set: owners without the right to, attributes the file system does not have.
    public var notices: [String]

    init(_ report: ExtractionReport) {
        files = report.files
        directories = report.directories
        symbolicLinks = report.symbolicLinks
        hardLinks = report.hardLinks
        specials = report.specials
        bytes = report.bytes
        notices = Self.notices(report)
    }

    static func notices(_ report: ExtractionReport) -> [String] {
        var notices = Notices()
        if report.ownersNotApplied > 0 {
            notices.add("not running as root: \(report.ownersNotApplied) files belong to the user who restores")
        }
        for missed in report.attributesNotApplied { notices.add("attribute not set: \(missed)") }
        return notices.all
    }
}
