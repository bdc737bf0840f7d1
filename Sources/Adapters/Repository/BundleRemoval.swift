// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain

extension FormatRepository {
    public func manifestDigest(_ id: BundleID) async throws -> SHA256Digest? {
        do {
            return SHA256Digest.of(try await store.get(BundleLayout.key(id, BundleLayout.manifest)))
        } catch let failure as Failure where failure.code == .objectNotFound {
            return nil
        }
    }

    public func retention(of id: BundleID) async throws -> ObjectRetention? {
        try await store.retention(of: BundleLayout.key(id, BundleLayout.manifest))
    }

    public func remove(_ id: BundleID) async throws -> StoreRemoval {
        let manifest = BundleLayout.key(id, BundleLayout.manifest)
        try await store.delete(manifest)
        // A bucket may answer "deleted" and keep it: then nothing else may go.
        guard try await store.size(of: manifest) == nil else {
            throw Failure(.storageDenied, "the store keeps '\(manifest)' although it was told to delete it")
        }
        return try await removeRest(id)
    }

    public func removeUncommitted(_ id: BundleID) async throws -> StoreRemoval? {
        guard try await store.size(of: BundleLayout.key(id, BundleLayout.manifest)) == nil else { return nil }
        return try await removeRest(id)
    }

    /// Deletes everything below the folder.
    private func removeRest(_ id: BundleID) async throws -> StoreRemoval {
        try await removeAll(try await store.list(id.folder + "/").map(\.key))
    }

    /// Deletes objects, some at a time. What the store refuses stays, and is counted.
    func removeAll(_ keys: [String]) async throws -> StoreRemoval {
        let refusals = Refusals()
        try await withThrowingTaskGroup(of: Void.self) { group in
            var rest = keys[...]
            func start() {
                guard let key = rest.popFirst() else { return }
                group.addTask {
                    do {
                        try await store.delete(key)
                    } catch let failure as Failure where failure.code.isRefusal {
                        await refusals.add(key, failure)
                    }
                }
            }
            for _ in 0..<8 { start() }
            while try await group.next() != nil { start() }
        }
        guard let first = await refusals.first else { return StoreRemoval(left: 0, failure: nil) }
        // Not told is as good as not known: that it was refused stands.
        let lock = try? await store.retention(of: first.key)
        return StoreRemoval(left: await refusals.count, failure: first.failure, lock: lock)
    }
}

extension Failure.Code {
    /// Whether a store answers so when it will not delete: a lock, or a missing right. Asking again does not help.
    fileprivate var isRefusal: Bool { self == .storageDenied || self == .storageFailed }
}

private actor Refusals {
    private(set) var count = 0
    private(set) var first: (key: String, failure: Failure)?

    func add(_ key: String, _ failure: Failure) {
        count += 1
        first = first ?? (key, failure)
    }
}
