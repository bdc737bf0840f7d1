// SPDX-License-Identifier: Apache-2.0
public import Domain
import Encryption

extension FormatRepository {
    public func open(_ id: BundleID) async throws -> any OpenedBundle {
        try await opened(id)
    }

    func opened(_ id: BundleID) async throws -> OpenedStoredBundle {
        let manifest = try await manifest(id).manifest
        let table = try await segmentTable(manifest)
        let objects = BundleObjects(
            repository: self, bundle: id, table: table, objects: manifest.objects, opener: Opener(home: keyring.home))
        let (contents, sealed) = try await objects.contents(of: manifest)
        return OpenedStoredBundle(manifest: manifest, contents: contents, sealed: sealed, objects: objects)
    }
}

/// A bundle whose contents were decrypted.
struct OpenedStoredBundle: OpenedBundle {
    let manifest: Manifest
    let contents: Contents
    let sealed: [String: Failure]
    let objects: BundleObjects

    func streams(of source: String) async throws -> [any StoredStream] {
        if let failure = sealed[source] { throw failure }
        var streams: [any StoredStream] = []
        var bases: [BundleID: OpenedStoredBundle] = [:]
        for stream in objects.table.streams where stream.source == source {
            if let base = stream.base, bases[base] == nil { bases[base] = try await openBase(base) }
            streams.append(try self.stream(stream, base: stream.base.flatMap { bases[$0] }))
        }
        return streams
    }

    /// One stream with what it refers to.
    func stream(_ stream: SegmentTable.Stream, base: OpenedStoredBundle?) throws -> BundleStream {
        let part = try objects.part(of: stream, in: contents)
        guard stream.storage != .full else { return BundleStream(objects: objects, table: stream, contents: part) }
        if let failure = base?.sealed[stream.source] { throw failure }
        guard let base, let baseTable = base.objects.table.stream(source: stream.source, name: stream.name) else {
            throw Failure(
                .baseMissing,
                "the base bundle \(stream.base?.text ?? "") has no stream '\(stream.source)/\(stream.name)'")
        }
        // Depth is always one: a base that itself refers to a base is not ours.
        guard baseTable.storage == .full else {
            throw Failure(.integrity, "the base of '\(stream.source)/\(stream.name)' is not a full")
        }
        let baseStream = try base.stream(baseTable, base: nil)
        return switch stream.storage {
        case .delta:
            BundleStream(objects: objects, table: stream, contents: part, windows: StoredWindows(base: baseStream))
        default: BundleStream(objects: objects, table: stream, contents: part, base: baseStream)
        }
    }

    func openBase(_ id: BundleID) async throws -> OpenedStoredBundle {
        do {
            return try await objects.repository.opened(id)
        } catch let failure as Failure where failure.code == .bundleNotFound {
            throw Failure(
                .baseMissing, "bundle \(manifest.id) needs its base \(id), which is not in the repository",
                hint: "Restore another bundle; 'salvor list-backups' shows which are whole.")
        }
    }
}
