// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain
import Foundation

/// `salvor-export.json`, the second member of an export: what it holds (docs/export.md).
public struct ExportDescription: Codable, Sendable, Equatable {
    /// The newest layout this program writes and reads.
    public static let currentLayout = 1

    public var layout: Int
    public var tool: String
    public var exported: Timestamp
    /// The host the export was made on.
    public var host: String
    /// Fingerprint of the key that signs the file: a claim, until the signature is proven.
    public var signer: String
    /// The bundle that was exported, and the repository it was in.
    public var bundle: BundleID
    public var repository: String
    /// SHA-256 of the bundle's `manifest.json`.
    public var manifest: SHA256Digest
    /// The exported sources, as the bundle's contents describe them.
    public var sources: [Contents.Source]
    /// In the order of their members.
    public var streams: [Stream]

    /// One stream, whole.
    public struct Stream: Codable, Sendable, Equatable {
        public var source: String
        public var name: String
        public var kind: StreamKind
        /// The member, below the export's folder.
        public var file: String
        /// The raw file's name when the stream is written to a directory.
        public var fileName: String
        public var length: UInt64
        /// Of the stream as it was captured; nil for a tree that was put together out of an incremental and its base, whose
        /// digest is in `SHA256SUMS` only.
        public var sha256: SHA256Digest?
        /// For trees: where their members are listed.
        public var list: List?

        public init(
            source: String, name: String, kind: StreamKind, file: String, fileName: String, length: UInt64,
            sha256: SHA256Digest?, list: List?
        ) {
            self.source = source
            self.name = name
            self.kind = kind
            self.file = file
            self.fileName = fileName
            self.length = length
            self.sha256 = sha256
            self.list = list
        }
    }

    /// A list of members in the form of docs/format.md.
    public struct List: Codable, Sendable, Equatable {
        public var file: String
        public var members: Int
        public var length: UInt64

        public init(file: String, members: Int, length: UInt64) {
            self.file = file
            self.members = members
            self.length = length
        }
    }

    public init(
        layout: Int = currentLayout, tool: String, exported: Timestamp, host: String, signer: String,
        bundle: BundleID, repository: String, manifest: SHA256Digest, sources: [Contents.Source], streams: [Stream]
    ) {
        self.layout = layout
        self.tool = tool
        self.exported = exported
        self.host = host
        self.signer = signer
        self.bundle = bundle
        self.repository = repository
        self.manifest = manifest
        self.sources = sources
        self.streams = streams
    }
}

/// Names of an export's members below its folder, which is called as the bundle.
enum ExportLayout {
    static let readme = "README.txt"
    static let description = "salvor-export.json"
    static let manifest = "original/manifest.json"
    static let signature = "original/manifest.json.sig"
    static let sums = "SHA256SUMS"

    static func list(_ source: String, _ stream: String) -> String { "lists/\(source)/\(stream).tsv" }
    static func stream(_ source: String, _ file: String) -> String { "sources/\(source)/\(file)" }

    /// A line of `SHA256SUMS`, as `sha256sum` writes it.
    static func sum(_ file: String, _ digest: SHA256Digest) -> [UInt8] { Array("\(digest)  \(file)\n".utf8) }
}

extension ExportDescription {
    func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
    }

    private struct Versioned: Decodable { var layout: Int }

    /// Reads and checks what `encoded` wrote.
    ///
    /// - Throws: `Failure(.formatTooNew)` for a newer layout, `Failure(.integrity)` for anything this program would not
    ///   have written.
    init(decoding bytes: [UInt8]) throws {
        do {
            let decoder = JSONDecoder()
            let layout = try decoder.decode(Versioned.self, from: Data(bytes)).layout
            guard layout <= Self.currentLayout else {
                throw Failure(
                    .formatTooNew, "the export has layout \(layout); this salvor reads up to \(Self.currentLayout)",
                    hint: "Use a newer salvor, or open the file by hand as its README.txt says.")
            }
            self = try decoder.decode(ExportDescription.self, from: Data(bytes))
        } catch is DecodingError {
            throw Self.damage("it cannot be read")
        }
        try check()
    }

    private static func damage(_ what: String) -> Failure {
        Failure(
            .integrity, "the export's \(ExportLayout.description) is wrong: \(what)",
            hint: "Ask for the file again; nothing was imported.")
    }

    private func check() throws {
        guard layout >= 1 else { throw Self.damage("layout \(layout)") }
        let names = sources.map(\.name)
        guard !names.isEmpty, Set(names).count == names.count, names.allSatisfy({ SafeName.isValid($0) }) else {
            throw Self.damage("the names of its sources")
        }
        var files: Set<String> = []
        var streamNames: Set<String> = []
        for stream in streams {
            let name = "\(stream.source)/\(stream.name)"
            guard names.contains(stream.source), SafeName.isValid(stream.name), streamNames.insert(name).inserted else {
                throw Self.damage("a stream of no source, or twice the same")
            }
            let file = stream.file.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
            guard SafeName.isValid(file), stream.file == ExportLayout.stream(stream.source, String(file)),
                files.insert(stream.file).inserted, Self.isFileName(stream.fileName), stream.length <= 1 << 60
            else { throw Self.damage("the file of stream '\(name)'") }
            guard (stream.kind == .tar) == (stream.list != nil), stream.kind == .tar || stream.sha256 != nil else {
                throw Self.damage("stream '\(name)' lacks its list or its digest")
            }
            if let list = stream.list {
                guard list.file == ExportLayout.list(stream.source, stream.name), list.members >= 0 else {
                    throw Self.damage("the list of stream '\(name)'")
                }
            }
        }
    }

    /// Whether it names a file and nothing else, so that a later `restore --to-directory` stays below its folder.
    private static func isFileName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
            && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 < 0x20 || $0 == 0x7f }
    }
}
