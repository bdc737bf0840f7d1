// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

extension GrafanaAdapter: DrillingAdapter {
    /// Its database as the `sqlite` adapter drills one, its files as the `files` adapter does, each in a folder of its own.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        guard let database = database as? any DrillingAdapter else {
            throw Failure(.restoreBlocked, "a Grafana beyond this host cannot be drilled")
        }
        let (data, root) = ("\(folder)/data", "\(folder)/root")
        try await Blocking.run {
            for path in [data, root] where mkdir(path, 0o700) != 0 {
                throw Failure(.localInput, "unable to make '\(path)': \(String(cString: strerror(errno)))")
            }
        }
        let (settings, files) = (settings, files)
        return try await database.inScratch(databasePart(restore), folder: data) { database in
            guard let files = files as? any DrillingAdapter else {
                return try await body(GrafanaAdapter(settings: settings, database: database, files: nil))
            }
            return try await files.inScratch(restore, folder: root) { files in
                try await body(GrafanaAdapter(settings: settings, database: database, files: files))
            }
        }
    }

    func answer(_ sql: String, database name: String?, in restore: SourceRestore) async throws -> String? {
        guard let database = database as? any DrillingAdapter else {
            throw Failure(.restoreBlocked, "a Grafana beyond this host cannot be asked")
        }
        return try await database.answer(sql, database: name, in: databasePart(restore))
    }

    func places(of restore: SourceRestore) -> [String: String] {
        var places: [String: String] = [:]
        places["SALVOR_DRILL_DATABASE"] =
            (database as? any DrillingAdapter)?.places(of: databasePart(restore))["SALVOR_DRILL_PATH"]
        places["SALVOR_DRILL_PATH"] = (files as? any DrillingAdapter)?.places(of: restore)["SALVOR_DRILL_PATH"]
        return places
    }
}
