// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

extension MeilisearchAdapter {
    func preflight() async -> [Check] {
        do {
            return try await withServer { server in
                let version = try await server.version()
                var checks = [Check("connection", .ok, "connected to \(server.web.name), version \(version)")]
                if (version.major, version.minor) < (1, 3) {
                    checks.append(
                        Check(
                            "version", .failed, "Meilisearch \(version) cannot be read page by page",
                            remedy: "Upgrade to 1.3 or later.", code: .versionRefused))
                    return checks
                }
                let all = try await server.indexes()
                let missing = settings.indexes.missing(from: Array(all.keys))
                let chosen = all.keys.filter(settings.indexes.contains).sorted()
                checks.append(
                    missing.isEmpty
                        ? Check("indexes", .ok, "\(chosen.count) of \(all.count)")
                        : Check(
                            "indexes", .failed, "there is no '\(missing.joined(separator: "', '"))'",
                            remedy: "Correct 'indexes' of the source.", code: .sourceFailed))
                if let first = chosen.first {
                    _ = try await server.settings(first)
                    _ = try await server.documents(first, offset: 0, limit: 1, withVectors: false)
                    _ = try await server.documentCount(first)
                }
                let pending = try await server.pendingTasks()
                checks.append(
                    pending == 0
                        ? Check("tasks", .ok, "none is pending")
                        : Check(
                            "tasks", .warning, "\(pending) tasks are pending: what they change may be missing",
                            remedy: "Back up when nobody writes."))
                if try await server.keys() == nil {
                    checks.append(
                        Check(
                            "keys", .warning, "the key may not list API keys, so they are not backed up",
                            remedy: "Give the key the action keys.get, or use the master key."))
                }
                return checks
            }
        } catch {
            let failure = Failure.wrapping(error, as: .sourceUnreachable)
            let remedy =
                failure.code == .sourceDenied ? "The key needs the actions \(Self.backupActions)." : failure.hint
            return [Check("connection", .failed, failure.summary, remedy: remedy, code: failure.code)]
        }
    }
}
