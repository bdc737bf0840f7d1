// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Synchronization

extension FormatRepository {
    public func validate(
        _ id: BundleID, level: ProofLevel, progress: any ProgressListener
    ) async throws -> ValidationReport {
        let run = ValidationRun(repository: self, bundle: id, level: level, progress: progress)
        try await run.validate()
        return run.report
    }
}

/// One validation: goes on after a problem, so that the report is whole.
private final class ValidationRun: Sendable {
    let repository: FormatRepository
    let bundle: BundleID
    let level: ProofLevel
    let progress: any ProgressListener
    private let found = Mutex(
        (problems: [ValidationReport.Problem](), objects: 0, bytes: UInt64(0), manifest: SHA256Digest?.none))

    init(repository: FormatRepository, bundle: BundleID, level: ProofLevel, progress: any ProgressListener) {
        self.repository = repository
        self.bundle = bundle
        self.level = level
        self.progress = progress
    }

    var report: ValidationReport {
        found.withLock {
            ValidationReport(
                bundle: bundle, level: level, objects: $0.objects, bytes: $0.bytes,
                problems: $0.problems.sorted { $0.object < $1.object }, manifest: $0.manifest)
        }
    }

    func validate() async throws {
        let key = BundleLayout.key(bundle, BundleLayout.manifest)
        var manifest: Manifest?
        try await attempt(key) {
            let signed = try await self.repository.manifest(self.bundle)
            self.found.withLock { $0.manifest = signed.sha256 }
            manifest = signed.manifest
        }
        guard let manifest else { return }
        count(2, 0)
        try await attempt(key) { try await self.checkChain(manifest) }
        var table: SegmentTable?
        try await attempt(BundleLayout.key(bundle, BundleLayout.segments)) {
            table = try await self.repository.segmentTable(manifest)
        }
        guard let table else { return }
        try await checkPresence(manifest, table)
        try await checkBases(table)
        switch level {
        case .presence: break
        case .checksum: try await checkBytes(manifest, table)
        // The part of a drill that takes no engine.
        case .contents, .drill: try await checkContents(manifest, table)
        }
    }

    /// The previous manifest must be there as it was, unless a signed record says why it is gone.
    private func checkChain(_ manifest: Manifest) async throws {
        guard let previous = manifest.previous else { return }
        let bytes: [UInt8]
        do {
            bytes = try await repository.store.get(BundleLayout.key(previous.id, BundleLayout.manifest))
        } catch let failure as Failure where failure.code == .objectNotFound {
            if try await repository.isExplained(previous) { return }
            throw Failure(
                .chainBroken,
                "the bundle before this one, \(previous.id), is not in the repository, and no signed record says why",
                hint: "Somebody removed it without 'salvor prune', or rolled the store back.")
        }
        guard SHA256Digest.of(bytes) == previous.sha256 else {
            throw Failure(.chainBroken, "the manifest of the bundle before this one, \(previous.id), was changed since")
        }
    }

    private func checkPresence(_ manifest: Manifest, _ table: SegmentTable) async throws {
        var sizes: [String: UInt64] = [:]
        for object in try await repository.store.list(bundle.folder + "/") { sizes[object.key] = object.size }
        for (object, digest) in expected(manifest, table) {
            let key = BundleLayout.key(bundle, object)
            count(1, 0)
            switch sizes[key] {
            case nil: add(key, Failure(.integrity, "missing"))
            case let size? where size != digest.size:
                add(key, Failure(.integrity, "has \(size) bytes instead of \(digest.size)"))
            default: break
            }
        }
    }

    private func checkBases(_ table: SegmentTable) async throws {
        for base in Set(table.streams.compactMap(\.base)) {
            try await attempt(BundleLayout.key(base, BundleLayout.manifest)) {
                let manifest = try await self.baseManifest(base)
                guard self.level != .presence else { return }
                let baseTable = try await self.repository.segmentTable(manifest)
                // What is to be decrypted is not read twice: its digests are checked then.
                let later =
                    self.level == .contents ? Set(self.segmentsToProve(of: base, table, baseTable).map(\.0)) : []
                try await self.checkBytes(of: base, self.expected(manifest, baseTable).filter { !later.contains($0.0) })
            }
        }
    }

    /// The objects of a base that are read as a whole when the contents of the bundle are proven: those of the streams
    /// that its incrementals are based on.
    private func segmentsToProve(
        of base: BundleID, _ table: SegmentTable, _ baseTable: SegmentTable
    ) -> [(String, ObjectDigest)] {
        table.streams.filter { $0.storage == .incremental && $0.base == base }.flatMap { stream in
            baseTable.stream(source: stream.source, name: stream.name).map(Self.objects) ?? []
        }
    }

    private func baseManifest(_ base: BundleID) async throws -> Manifest {
        do {
            return try await repository.manifest(base).manifest
        } catch let failure as Failure where failure.code == .bundleNotFound {
            throw Failure(.baseMissing, "this base is not in the repository")
        }
    }

    private func checkBytes(_ manifest: Manifest, _ table: SegmentTable) async throws {
        try await checkBytes(of: bundle, expected(manifest, table))
    }

    private func checkBytes(of bundle: BundleID, _ objects: [(String, ObjectDigest)]) async throws {
        progress.report(.phase("checksum"))
        try await OrderedFetch.run(Array(objects.indices), inFlight: repository.concurrency + 2) { index in
            let (object, digest) = objects[index]
            let key = BundleLayout.key(bundle, object)
            try await self.attempt(key) {
                LargeArrays.giveBack(try await self.repository.checked(key, digest))
                self.count(0, digest.size)
                self.progress.report(.bytes(source: bundle.text, raw: digest.size, stored: digest.size))
            }
        } consume: { _, _ in
        }
    }

    private func checkContents(_ manifest: Manifest, _ table: SegmentTable) async throws {
        progress.report(.phase("contents"))
        var opened: OpenedStoredBundle?
        try await attempt(BundleLayout.key(bundle, BundleLayout.contents)) {
            opened = try await self.repository.opened(self.bundle)
        }
        guard let opened else {
            // Without the contents the bytes can still be looked at.
            try await checkBytes(manifest, table)
            for base in Set(table.streams.compactMap(\.base)) {
                try await attempt(BundleLayout.key(base, BundleLayout.segments)) {
                    let baseTable = try await self.repository.segmentTable(base)
                    try await self.checkBytes(of: base, self.segmentsToProve(of: base, table, baseTable))
                }
            }
            return
        }
        for source in manifest.sources where source.state == .ok && opened.sealed[source.name] == nil {
            for stream in table.streams where stream.source == source.name {
                let name = "\(bundle.folder)/\(stream.source)/\(stream.name)"
                var base: BundleStream?
                try await attempt(name) {
                    let opening = try await stream.base.asyncMap { try await opened.openBase($0) }
                    let readable = try opened.stream(stream, base: opening)
                    base = readable.base as? BundleStream
                    try await readable.prove()
                    self.count(0, stream.segments.reduce(0) { $0 + $1.size })
                    self.progress.report(.bytes(source: source.name, raw: stream.rawBytes, stored: 0))
                }
                // A delta's segments prove the windows they use; an incremental's base is whole beside it.
                if stream.storage == .incremental { try await proveBase(of: stream, base, name) }
            }
        }
        try await checkSealed(opened.sealed, manifest, table)
    }

    /// Of sources that only others can read the bytes are looked at; that is not the proof that was asked for.
    private func checkSealed(
        _ sealed: [String: Failure], _ manifest: Manifest, _ table: SegmentTable
    ) async throws {
        guard let first = sealed.min(by: { $0.key < $1.key }) else { return }
        let folders = sealed.keys.map { "\($0)/" }
        try await checkBytes(
            of: bundle, expected(manifest, table).filter { object in folders.contains { object.0.hasPrefix($0) } })
        for stream in table.streams where stream.storage == .incremental && sealed[stream.source] != nil {
            try await checkBaseBytes(of: stream)
        }
        // What is wrong comes first.
        guard report.problems.isEmpty else { return }
        throw Failure(
            .noDecryptionKey,
            "the contents of source '\(first.key)' were not proven: only \(readers(of: first.key, manifest)) can read "
                + "them; all else is sound",
            hint: "Validate where that key is, or at the level checksum.")
    }

    private func readers(of source: String, _ manifest: Manifest) -> String {
        manifest.recipients(of: source).joined(separator: ", ")
    }

    /// Proves the stream that an incremental is based on. When that fails, it is told which of its objects are damaged.
    private func proveBase(of stream: SegmentTable.Stream, _ readable: BundleStream?, _ name: String) async throws {
        if let readable {
            do {
                try await readable.prove()
                return count(0, readable.table.segments.reduce(0) { $0 + $1.size })
            } catch let failure as Failure where failure.code.exitStatus == .integrity {
                add(name, failure)
                return try await checkBytes(of: readable.objects.bundle, Self.objects(readable.table))
            }
        }
        try await checkBaseBytes(of: stream)
    }

    private func checkBaseBytes(of stream: SegmentTable.Stream) async throws {
        guard let base = stream.base else { return }
        try await attempt(BundleLayout.key(base, BundleLayout.segments)) {
            let table = try await self.repository.segmentTable(base)
            guard let stored = table.stream(source: stream.source, name: stream.name) else { return }
            try await self.checkBytes(of: base, Self.objects(stored))
        }
    }

    private static func objects(_ stream: SegmentTable.Stream) -> [(String, ObjectDigest)] {
        stream.segments.map { ($0.object, ObjectDigest(size: $0.size, sha256: $0.sha256)) }
    }

    private func expected(_ manifest: Manifest, _ table: SegmentTable) -> [(String, ObjectDigest)] {
        manifest.objects.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
            + table.streams.flatMap(Self.objects)
    }

    /// Runs `body`, turning a damage into a problem; everything that says nothing about the bundle (an unreachable store,
    /// no key) is thrown.
    private func attempt(_ object: String, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let failure as Failure where failure.code.exitStatus == .integrity {
            add(object, failure)
        }
    }

    private func add(_ object: String, _ failure: Failure) {
        found.withLock { $0.problems.append(ValidationReport.Problem(object: object, failure)) }
    }

    private func count(_ objects: Int, _ bytes: UInt64) {
        found.withLock {
            $0.objects += objects
            $0.bytes += bytes
        }
    }
}

extension Optional where Wrapped: Sendable {
    fileprivate func asyncMap<Result>(_ body: (Wrapped) async throws -> Result) async rethrows -> Result? {
        guard let self else { return nil }
        return try await body(self)
    }
}
