// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc

/// A folder of a scheduler, such as /etc/systemd/system, in which files of ours stand beside others.
public struct ScheduleFolder: Sendable {
    public let path: String

    public init(_ path: String) {
        self.path = path
    }

    /// Names of the files that were made for `plans`, or for any plan, sorted.
    ///
    /// - Throws: `Failure(.localInput)`.
    public func files(of plans: [String]?) throws -> [String] {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { return [] }
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: path) } catch {
            throw Failure(.localInput, "unable to list '\(path)'")
        }
        return names.filter { name in
            guard name.hasPrefix("salvor-"), let plan = plan(of: name) else { return false }
            return plans?.contains(plan) ?? true
        }.sorted()
    }

    /// Writes files, each atomically and readable for everybody: they hold no secrets.
    ///
    /// - Throws: `Failure(.preflightRefused)` when one of the names is taken by a file of somebody else, before anything is
    ///   written; `Failure(.localInput)`.
    public func write(_ files: [ScheduleFile]) throws {
        for file in files where exists(file.name) && plan(of: file.name) == nil {
            throw Failure(
                .preflightRefused, "'\(path)/\(file.name)' is there, and not from salvor",
                hint: "Nothing was written. Move it away, or write elsewhere with --directory.")
        }
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw Failure(.localInput, "unable to make '\(path)'", hint: "Run this as root, or name a --directory.")
        }
        for file in files { try write(file) }
    }

    /// Removes files by name; succeeds for those that are not there.
    public func remove(_ names: [String]) throws {
        for name in names where unlink("\(path)/\(name)") != 0 && errno != ENOENT { throw failure("remove", name) }
    }

    /// The plan that a file was made for; nil: none, or no regular file of ours.
    private func plan(of name: String) -> String? {
        var status = stat()
        guard lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            let bytes = FileManager.default.contents(atPath: "\(path)/\(name)")
        else { return nil }
        return ScheduleFile.plan(ofText: String(decoding: bytes, as: UTF8.self))
    }

    private func exists(_ name: String) -> Bool {
        var status = stat()
        return lstat("\(path)/\(name)", &status) == 0
    }

    private func write(_ file: ScheduleFile) throws {
        // Neither systemd nor cron reads a name like this.
        let temporary = "\(path)/.\(file.name).\(UInt32.random(in: 0...UInt32.max))"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("write", file.name) }
        var isWritten = false
        defer {
            close(descriptor)
            if !isWritten { unlink(temporary) }
        }
        let bytes = Array(file.text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw failure("write", file.name) }
            done += count
        }
        // Whatever the umask is.
        guard fchmod(descriptor, 0o644) == 0, fsync(descriptor) == 0, rename(temporary, "\(path)/\(file.name)") == 0
        else { throw failure("write", file.name) }
        isWritten = true
    }

    private func failure(_ verb: String, _ name: String) -> Failure {
        let reason = String(cString: strerror(errno))
        return Failure(
            .localInput, "unable to \(verb) '\(path)/\(name)': \(reason)",
            hint: "Run this as root, or name a --directory.")
    }
}
