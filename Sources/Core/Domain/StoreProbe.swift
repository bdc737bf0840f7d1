// SPDX-License-Identifier: Apache-2.0

/// What a store was seen to do when it was tried; kept in the repository's descriptor.
public struct ProbeResult: Sendable, Hashable, Codable {
    /// Whether of several simultaneous `ifAbsent` writes exactly one won, each time, and its bytes stayed.
    public var conditionalWrites: Bool
    /// Whether listings showed each object right after it was written, and no longer after it was deleted.
    public var listAfterPut: Bool
    /// When it was tried.
    public var at: Timestamp

    public init(conditionalWrites: Bool, listAfterPut: Bool, at: Timestamp) {
        self.conditionalWrites = conditionalWrites
        self.listAfterPut = listAfterPut
        self.at = at
    }
}

extension Failure.Code {
    /// The store says that it cannot do what was asked, a conditional write for example.
    public static let storageUnsupported = Failure.Code("storage.unsupported", .storageUnreachable)
}

/// Tries out what vendors' names and documents do not tell reliably: some stores answer 200 to a conditional write and
/// overwrite all the same.
public enum StoreProbe {
    /// Writes, reads, lists and deletes small objects under `probe/<random>/`, and removes them afterwards.
    ///
    /// In each of `rounds`, `parallel` writers put different bytes under one new key at the same time on condition that it
    /// is absent. Throws what the store throws when plain writing, reading or deleting does not work at all, and
    /// `storageFailed` when what is read is not what was written.
    public static func run(
        _ store: any Store, rounds: Int = 8, parallel: Int = 8, clock: any WallClock = SystemClock()
    ) async throws -> ProbeResult {
        let folder = "probe/\(BundleID.randomSuffix())\(BundleID.randomSuffix())/"
        let keys = (0..<rounds).map { "\(folder)round-\($0)" }
        let plain = folder + "plain"
        do {
            let isListed = try await readsItsWrites(store, plain, folder: folder)
            var oneWinnerEach = true
            for key in keys where oneWinnerEach {
                oneWinnerEach = try await hasOneWinner(store, key, writers: parallel)
            }
            try await remove(keys + [plain], from: store)
            let isUnlisted = try await store.list(folder).isEmpty
            return ProbeResult(
                conditionalWrites: oneWinnerEach, listAfterPut: isListed && isUnlisted, at: clock.now())
        } catch {
            // The first error tells more than a second one from cleaning up would; what stays is under `probe/`.
            try? await remove(keys + [plain], from: store)
            throw error
        }
    }

    private static func readsItsWrites(_ store: any Store, _ key: String, folder: String) async throws -> Bool {
        // Overwriting shows caches that a single write and read would not.
        for text in ["first", "second, longer"] {
            let bytes = Array(text.utf8)
            try await store.put(key, bytes)
            guard try await store.get(key) == bytes, try await store.size(of: key) == UInt64(bytes.count) else {
                throw Failure(
                    .storageFailed, "\(store.location) does not give back what was just written to it",
                    hint: "A repository needs a store with read-after-write consistency; look for a cache in between.")
            }
        }
        let listed = try await store.list(folder)
        return listed == [StoredObject(key: key, size: UInt64("second, longer".utf8.count))]
    }

    private static func hasOneWinner(_ store: any Store, _ key: String, writers: Int) async throws -> Bool {
        let winners = try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    let bytes = Array("writer \(writer) of \(writers)".utf8)
                    do {
                        try await store.put(key, bytes, condition: .ifAbsent)
                        return bytes
                    } catch let failure as Failure
                        where [.conflict, .storageUnsupported].contains(failure.code)
                    {
                        return nil
                    }
                }
            }
            var winners: [[UInt8]] = []
            for try await winner in group {
                if let winner { winners.append(winner) }
            }
            return winners
        }
        guard winners.count == 1 else { return false }
        // One more, later: some stores only order writers that meet.
        do {
            try await store.put(key, Array("late".utf8), condition: .ifAbsent)
            return false
        } catch let failure as Failure where failure.code == .conflict {
            return try await store.get(key) == winners[0]
        }
    }

    private static func remove(_ keys: [String], from store: any Store) async throws {
        for key in keys { try await store.delete(key) }
    }
}
