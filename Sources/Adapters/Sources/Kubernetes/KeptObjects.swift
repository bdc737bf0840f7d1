// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc

/// What a restore notes of itself.
struct ObjectState: Codable, Sendable {
    /// The cluster it was begun in; nil: not to be told.
    var cluster: String?
    /// All objects it is about.
    var all: [ObjectKey]
    /// Those that were not there before.
    var created: [ObjectKey]

    init(cluster: String?, all: [ObjectKey], created: [ObjectKey]) {
        self.cluster = cluster
        self.all = all
        self.created = created
    }

    /// - Throws: `Failure(.stateDamaged)`.
    init(_ recorded: JSONValue) throws {
        do {
            self = try JSONDecoder().decode(ObjectState.self, from: JSONEncoder().encode(recorded))
        } catch {
            throw Failure(.stateDamaged, "the journal of this restore does not tell which objects it is about")
        }
    }

    var json: JSONValue {
        get throws { try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(self)) }
    }
}

/// The objects as they were before a restore, in a file only its owner may read: there are Secrets among them.
struct KeptObjects: Sendable {
    private let path: String

    init(folder: String) {
        path = "\(folder)/previous-objects.json"
    }

    /// Keeps the first state only: a stage that is done again must not keep what it has changed itself.
    func write(_ objects: [JSONValue]) async throws {
        let bytes = Array(try JSONEncoder().encode(objects))
        try await Blocking.run {
            guard access(path, F_OK) != 0 else { return }
            let temporary = path + ".new"
            unlink(temporary)
            let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw problem("create") }
            defer { close(descriptor) }
            var written = 0
            while written < bytes.count {
                let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                guard count > 0 else { throw problem("write") }
                written += count
            }
            guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw problem("write") }
        }
    }

    func read() async throws -> [JSONValue] {
        try await Blocking.run {
            do {
                return try JSONDecoder().decode(
                    [JSONValue].self, from: Data(contentsOf: URL(fileURLWithPath: path)))
            } catch {
                throw Failure(
                    .stateDamaged, "what was kept of the objects before the restore cannot be read: '\(path)'",
                    hint: "Apply an earlier bundle instead.")
            }
        }
    }

    func remove() async throws {
        try await Blocking.run {
            guard unlink(path) == 0 || errno == ENOENT else { throw problem("remove") }
        }
    }

    private func problem(_ verb: String) -> Failure {
        let number = errno
        return Failure(
            number == ENOSPC ? .localSpace : .localInput,
            "unable to \(verb) '\(path)': \(String(cString: strerror(number)))")
    }
}
