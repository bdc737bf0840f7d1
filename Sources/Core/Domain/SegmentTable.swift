// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// One segment: a fixed slice of one stream, stored as one object.
public struct Segment: Sendable, Equatable {
    /// `<source>/<stream>/000000.zst.gpg`, relative to the bundle's folder.
    public var object: String
    /// Size of the object in bytes.
    public var size: UInt64
    /// SHA-256 of the object.
    public var sha256: SHA256Digest
    /// Where the slice begins in the raw stream, in bytes.
    public var rawOffset: UInt64
    /// Length of the slice in bytes.
    public var rawLength: UInt64
    /// The part of the base's raw stream the frame was made against; nil: the frame stands alone.
    public var window: Range<UInt64>?

    public init(
        object: String, size: UInt64, sha256: SHA256Digest, rawOffset: UInt64, rawLength: UInt64,
        window: Range<UInt64>?
    ) {
        self.object = object
        self.size = size
        self.sha256 = sha256
        self.rawOffset = rawOffset
        self.rawLength = rawLength
        self.window = window
    }
}

/// `segments.tsv`: every stream with its segments, in clear text, enough for recovery with stock tools.
///
/// Lines end in a newline, fields are separated by tabs, `-` stands for nothing:
/// ```
/// salvor-segments  1
/// stream   <source> <stream> <raw|tar> <full|delta|incremental> <segments> <raw bytes> <base bundle folder>
/// segment  <object> <size> <sha256> <raw offset> <raw length> <window offset> <window length>
/// end      <streams> <segments>
/// ```
/// Segment lines follow their stream's line in order. The last line guards against truncation.
public struct SegmentTable: Sendable, Equatable {
    /// One stream and its segments in order.
    public struct Stream: Sendable, Equatable {
        public var source: String
        public var name: String
        public var kind: StreamKind
        public var storage: StreamStorage
        public var rawBytes: UInt64
        public var base: BundleID?
        public var segments: [Segment]

        public init(
            source: String, name: String, kind: StreamKind, storage: StreamStorage, rawBytes: UInt64, base: BundleID?,
            segments: [Segment]
        ) {
            self.source = source
            self.name = name
            self.kind = kind
            self.storage = storage
            self.rawBytes = rawBytes
            self.base = base
            self.segments = segments
        }
    }

    public var streams: [Stream]

    public init(streams: [Stream]) {
        self.streams = streams
    }

    /// The stream of that name; nil when there is none.
    public func stream(source: String, name: String) -> Stream? {
        streams.first { $0.source == source && $0.name == name }
    }

    /// The file's bytes.
    public func encoded() -> [UInt8] {
        var text = "salvor-segments\t\(currentFormat)\n"
        for stream in streams {
            let base = stream.base?.folder ?? "-"
            text +=
                "stream\t\(stream.source)\t\(stream.name)\t\(stream.kind.rawValue)\t\(stream.storage.rawValue)"
                + "\t\(stream.segments.count)\t\(stream.rawBytes)\t\(base)\n"
            for segment in stream.segments {
                let window = segment.window.map { "\($0.lowerBound)\t\($0.count)" } ?? "-\t-"
                text +=
                    "segment\t\(segment.object)\t\(segment.size)\t\(segment.sha256)\t\(segment.rawOffset)"
                    + "\t\(segment.rawLength)\t\(window)\n"
            }
        }
        text += "end\t\(streams.count)\t\(streams.reduce(0) { $0 + $1.segments.count })\n"
        return Array(text.utf8)
    }

    /// Reads the file's bytes, checking all counts, offsets and lengths.
    ///
    /// - Throws: `Failure(.integrity)` for anything that `encoded` would not have written, `Failure(.formatTooNew)`.
    public init(decoding bytes: [UInt8]) throws {
        var lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).makeIterator()
        guard let header = lines.next()?.split(separator: "\t"), header.count == 2, header[0] == "salvor-segments",
            let format = Int(header[1])
        else { throw Self.damage("no header") }
        guard format <= currentFormat else {
            throw Failure(
                .formatTooNew, "segments.tsv has format \(format); this salvor reads up to \(currentFormat)",
                hint: "Use a newer salvor.")
        }
        streams = []
        var announced = 0
        while let line = lines.next() {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            switch fields.first {
            case "stream" where fields.count == 8:
                try Self.checkComplete(streams.last, announced)
                let stream = try Self.stream(fields)
                announced = stream.count
                streams.append(stream.value)
            case "segment" where fields.count == 8 && !streams.isEmpty:
                let segment = try Self.segment(fields)
                let last = streams[streams.count - 1].segments.last
                let end = last.map { $0.rawOffset + $0.rawLength } ?? 0
                guard segment.rawOffset == end else { throw Self.damage("segments of a stream do not adjoin") }
                streams[streams.count - 1].segments.append(segment)
            case "end" where fields.count == 3:
                try Self.checkComplete(streams.last, announced)
                let total = streams.reduce(0) { $0 + $1.segments.count }
                guard Int(fields[1]) == streams.count, Int(fields[2]) == total, lines.next() == "", lines.next() == nil
                else { throw Self.damage("the closing counts differ") }
                return
            default:
                throw Self.damage("an unknown line")
            }
        }
        throw Self.damage("no closing line")
    }

    private static func damage(_ what: String) -> Failure {
        Failure(.integrity, "segments.tsv is damaged: \(what)")
    }

    private static func checkComplete(_ stream: Stream?, _ announced: Int) throws {
        guard let stream else { return }
        let end = stream.segments.last.map { $0.rawOffset + $0.rawLength } ?? 0
        guard stream.segments.count == announced, end == stream.rawBytes else {
            throw damage("stream \(stream.source)/\(stream.name) is not whole")
        }
    }

    private static func stream(_ fields: [Substring]) throws -> (value: Stream, count: Int) {
        guard SafeName.isValid(fields[1]), SafeName.isValid(fields[2]),
            let kind = StreamKind(rawValue: String(fields[3])),
            let storage = StreamStorage(rawValue: String(fields[4])), let count = Int(fields[5]), count >= 0,
            let rawBytes = UInt64(fields[6])
        else { throw damage("a stream line") }
        var base: BundleID?
        if fields[7] != "-" {
            guard let id = fields[7].split(separator: "/").last.flatMap({ BundleID(String($0)) }),
                id.folder == fields[7]
            else { throw damage("a base") }
            base = id
        }
        guard (storage == .full) == (base == nil) else { throw damage("a base that does not fit the storage") }
        return (
            Stream(
                source: String(fields[1]), name: String(fields[2]), kind: kind, storage: storage, rawBytes: rawBytes,
                base: base, segments: []), count
        )
    }

    private static func segment(_ fields: [Substring]) throws -> Segment {
        let parts = fields[1].split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ SafeName.isValid($0) }), let size = UInt64(fields[2]),
            let sha256 = SHA256Digest(hexadecimal: fields[3]), let offset = UInt64(fields[4]),
            let length = UInt64(fields[5]), length <= 1 << 40, offset <= 1 << 60
        else { throw damage("a segment line") }
        var window: Range<UInt64>?
        if fields[6] != "-" {
            guard let start = UInt64(fields[6]), let count = UInt64(fields[7]), start <= 1 << 60, count <= 1 << 30
            else {
                throw damage("a window")
            }
            window = start..<(start + count)
        }
        return Segment(
            object: String(fields[1]), size: size, sha256: sha256, rawOffset: offset, rawLength: length, window: window)
    }
}
