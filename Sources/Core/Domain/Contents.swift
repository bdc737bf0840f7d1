// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// A bundle's private part, stored encrypted as `contents.gpg`: digests, member lists, facts, and what adapters need to
/// restore. A source with recipients of its own has a document of its own.
///
/// Its plain form is text: one line of JSON (`Header`), then for every tar stream in the header's order its member lines
/// (see `MemberTable`), then its deletions, one escaped path a line.
public struct Contents: Sendable, Equatable {
    /// One source's part.
    public struct Source: Codable, Sendable, Equatable {
        public var name: String
        /// Product and version, such as `PostgreSQL 15.20`.
        public var engine: String
        public var facts: Facts
        /// What the adapter needs to restore.
        public var restoreData: JSONValue
        /// What was noteworthy but not wrong: files that changed while read, sockets not stored.
        public var notices: [String]
        /// When the copy was consistent, if the adapter knows (freeze), and the system's own position.
        public var position: String?

        public init(
            name: String, engine: String, facts: Facts, restoreData: JSONValue, notices: [String], position: String?
        ) {
            self.name = name
            self.engine = engine
            self.facts = facts
            self.restoreData = restoreData
            self.notices = notices
            self.position = position
        }
    }

    /// One stream's part.
    public struct Stream: Sendable, Equatable {
        public var source: String
        public var name: String
        /// The raw file's name when the stream is written to a directory, such as `app.dump`.
        public var fileName: String
        /// Length and SHA-256 of the whole raw stream.
        public var receipt: StreamReceipt
        /// SHA-256 of every raw segment of a dump, in order; empty for a tar, whose members have digests of their own.
        public var segmentDigests: [SHA256Digest]
        /// For tars: the members stored in this stream.
        public var members: MemberTable
        /// For incremental tars: paths that are in the base and gone since.
        public var deletions: [[UInt8]]

        public init(
            source: String, name: String, fileName: String, receipt: StreamReceipt, segmentDigests: [SHA256Digest],
            members: MemberTable = MemberTable(), deletions: [[UInt8]] = []
        ) {
            self.source = source
            self.name = name
            self.fileName = fileName
            self.receipt = receipt
            self.segmentDigests = segmentDigests
            self.members = members
            self.deletions = deletions
        }
    }

    public var sources: [Source]
    public var streams: [Stream]

    public init(sources: [Source], streams: [Stream]) {
        self.sources = sources
        self.streams = streams
    }

    /// What is said of these sources only.
    public func restricted(to names: Set<String>) -> Contents {
        Contents(
            sources: sources.filter { names.contains($0.name) }, streams: streams.filter { names.contains($0.source) })
    }

    /// The source of that name; nil when there is none.
    public func source(_ name: String) -> Source? { sources.first { $0.name == name } }

    /// The stream of that name; nil when there is none.
    public func stream(source: String, name: String) -> Stream? {
        streams.first { $0.source == source && $0.name == name }
    }
}
