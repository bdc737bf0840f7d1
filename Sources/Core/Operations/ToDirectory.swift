// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain

/// Writes chosen streams as files below a folder, without any engine: tars extracted, dumps as files.
public struct ToDirectory: Sendable {
    let repository: any BundleRepository
    let registry: AdapterRegistry
    let trees: any TreeWriting
    let files: any FileWriting
    let progress: any ProgressListener

    public init(
        repository: any BundleRepository, registry: AdapterRegistry, trees: any TreeWriting, files: any FileWriting,
        progress: any ProgressListener
    ) {
        self.repository = repository
        self.registry = registry
        self.trees = trees
        self.files = files
        self.progress = progress
    }

    /// What was written for one stream.
    public struct Written: Sendable, Codable, Equatable {
        public var source: String
        public var stream: String
        public var path: String
        public var bytes: UInt64
        public var notices: [String]
    }

    /// A failure removes what was written.
    ///
    /// - Throws: `Failure(.targetExists)` when a file or folder to be made is there already.
    public func run(_ request: RestoreRequest, directory: String) async throws -> [Written] {
        let bundle = try await repository.open(request.bundle)
        let chosen = try SourceSelection.choose(request, from: bundle.manifest) { try registry.isData($0) }
        for source in chosen { try await files.requireAbsent("\(directory)/\(source.name)") }
        do {
            return try await write(chosen, of: bundle, request, directory)
        } catch {
            // Half of a tree would be taken for a whole one, and would be in the way of the next attempt. Out of reach of
            // this task's cancellation.
            await Task {
                for source in chosen {
                    do { try await files.discard("\(directory)/\(source.name)") } catch {
                        progress.report(.note(Failure.wrapping(error).summary))
                    }
                }
            }.value
            throw error
        }
    }

    private func write(
        _ chosen: [Manifest.Source], of bundle: any OpenedBundle, _ request: RestoreRequest, _ directory: String
    ) async throws -> [Written] {
        var written: [Written] = []
        for source in chosen {
            progress.report(.sourceStarted(source.name, estimatedBytes: source.streams.reduce(0) { $0 + $1.rawBytes }))
            let folder = "\(directory)/\(source.name)"
            for stream in try await bundle.streams(of: source.name) {
                var result = Written(
                    source: source.name, stream: stream.name, path: folder, bytes: stream.receipt.length, notices: [])
                switch stream.kind {
                case .tar: result.notices = try await trees.extract(stream, into: folder, include: request.include)
                case .raw:
                    result.path = "\(folder)/\(stream.fileName)"
                    try await files.write(stream, to: result.path)
                }
                written.append(result)
            }
            progress.report(.sourceFinished(source.name))
        }
        return written
    }
}
