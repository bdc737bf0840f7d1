// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Foundation

/// What runs froze and have not released, one file each: `frozen/<plan>/<source>/<id>.json`.
public struct FreezeNoteFiles: FreezeNotes {
    private let directory: StateDirectory

    public init(_ root: StateDirectory, plan: String, source: String) {
        directory = root.below("frozen").below(plan).below(source)
    }

    /// The notes of a plan itself, which no source's name can be.
    public init(_ root: StateDirectory, plan: String) {
        self.init(root, plan: plan, source: "~plan")
    }

    /// The file of the note with that id.
    public func path(of id: String) -> String { "\(directory.path)/\(id).json" }

    /// - Throws: `Failure(.localInput)` when a note cannot be read: what it says may still be on the server.
    public func all() async throws -> [FreezeNote] {
        let directory = directory
        return try await Blocking.run {
            try directory.names().filter { $0.hasSuffix(".json") }.compactMap { name in
                guard let bytes = try directory.read(name) else { return nil }
                do {
                    return try JSONDecoder().decode(FreezeNote.self, from: Data(bytes))
                } catch {
                    throw Failure(
                        .localInput, "'\(directory.path)/\(name)' is damaged: \(error)",
                        hint: "Look on the server for what it froze, remove that by hand, then remove the file.")
                }
            }
            .sorted { ($0.noted, $0.id) < ($1.noted, $1.id) }
        }
    }

    public func add(_ note: FreezeNote) async throws {
        let directory = directory
        guard SafeName.isValid(note.id) else {
            throw Failure(.internalError, "'\(note.id)' cannot be the id of a note")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(note))
        try await Blocking.run { try directory.write("\(note.id).json", bytes) }
    }

    public func erase(_ id: String) async throws {
        let directory = directory
        try await Blocking.run { try directory.remove("\(id).json") }
    }
}
