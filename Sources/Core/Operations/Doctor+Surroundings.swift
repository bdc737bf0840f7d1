// SPDX-License-Identifier: Apache-2.0
import Domain
import Notifications

/// Time and room: what a run takes for granted of the host and the store.
extension Doctor {
    /// Clocks that differ by less than this are the same; a store refuses requests at fifteen minutes.
    private static let tolerance: Int64 = 300

    func surroundingChecks(_ plan: Plan, _ repository: any BundleRepository) async throws -> [Check] {
        let manifests = try await repository.summaries(plan: plan.name).compactMap { summary -> Manifest? in
            // What cannot be read is for 'status' and validation to tell.
            if case .success(let manifest) = summary.manifest { manifest } else { nil }
        }
        let store = try await repository.storeFacts()
        let full = StorageRoom.storedByLastFull(manifests)
        var checks = [clockCheck(store: store.time, newest: manifests.last)]
        if let room = store.room {
            checks.append(
                roomCheck(
                    Folder(
                        name: "repository", path: repository.location, room: room,
                        remedy: "Make room on that disk, or move the repository to a larger one."), full))
        }
        return checks + folders.map { roomCheck($0, full) }
    }

    private func clockCheck(store: Timestamp?, newest: Manifest?) -> Check {
        let now = clock.now()
        let remedy = "Set this host's clock (timedatectl, chrony); bundle names, ages and keys' ends depend on it."
        if let newest, now < newest.started {
            return Check(
                "clock", .warning, "it is \(now), before the newest bundle, \(newest.id), was begun", remedy: remedy)
        }
        guard let store else {
            return Check(
                "clock", .ok, newest.map { "after the newest bundle, \($0.id)" } ?? "there is nothing to compare with")
        }
        let ahead = now.seconds - store.seconds
        guard abs(ahead) > Self.tolerance else { return Check("clock", .ok, "as the store's, within \(abs(ahead)) s") }
        return Check(
            "clock", .warning, "it is \(abs(ahead)) s \(ahead > 0 ? "ahead of" : "behind") the store's", remedy: remedy)
    }

    private func roomCheck(_ folder: Folder, _ full: UInt64?) -> Check {
        let name = "room: \(folder.name)"
        guard let room = folder.room else {
            return Check(
                name, .warning, "'\(folder.path)' does not tell its free space", remedy: "Is it there and readable?")
        }
        let words = "\(room) bytes free in '\(folder.path)'"
        guard let full else { return Check(name, .ok, words) }
        return room >= full
            ? Check(name, .ok, "\(words); the last full took \(full)")
            : Check(name, .warning, "\(words), less than the last full took: \(full)", remedy: folder.remedy)
    }
}
