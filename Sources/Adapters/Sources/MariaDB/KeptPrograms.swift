// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// The text of the live databases' views, routines, triggers and events, kept until a restore ends. Calls block.
enum KeptPrograms {
    static func programs(_ index: Int, in place: RestorePlace) -> String {
        "\(place.keepDirectory)/programs-\(index).sql"
    }

    static func events(_ index: Int, in place: RestorePlace) -> String { "\(place.keepDirectory)/events-\(index).sql" }

    /// Writes a file of mode 0600 that gets its name only when all of it is on disk.
    static func write(_ text: [UInt8], to path: String) throws {
        let partial = path + ".part"
        let file = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("create", partial) }
        defer { close(file) }
        try text.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(file, bytes.baseAddress?.advanced(by: done), bytes.count - done)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw failure("write", partial) }
                done += count
            }
        }
        guard fsync(file) == 0, rename(partial, path) == 0 else { throw failure("write", path) }
        let parent = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        let folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("open", parent) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure("sync", parent) }
    }

    static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { throw failure("open", path) }
        defer { close(file) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { return text }
            text.append(contentsOf: buffer[..<count])
        }
    }

    static func remove(_ path: String) throws {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    }

    private static func failure(_ verb: String, _ path: String) -> Failure {
        let code: Failure.Code = errno == ENOSPC || errno == EDQUOT ? .localSpace : .localInput
        return Failure(code, "unable to \(verb) '\(path)': \(String(cString: strerror(errno)))")
    }
}
