// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc

/// Writes dumps to files, durably, under a temporary name first.
struct StreamFiles: FileWriting {
    func requireAbsent(_ path: String) async throws {
        var status = stat()
        guard lstat(path, &status) != 0 else {
            throw Failure(
                .targetExists, "'\(path)' is there already", hint: "Name an empty folder; nothing was written.")
        }
    }

    func write(_ stream: any StoredStream, to path: String) async throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Failure(.localInput, "unable to make '\(folder)': \(error.localizedDescription)")
        }
        let temporary = path + ".part"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.failure(temporary) }
        defer { close(descriptor) }
        do {
            try await stream.read(nil) { bytes in
                var rest = bytes
                while !rest.isEmpty {
                    let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                    guard count >= 0 else { throw Self.failure(temporary) }
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                }
            }
            guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw Self.failure(path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    func discard(_ path: String) async throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw Failure(.localInput, "unable to remove '\(path)': \(error.localizedDescription)")
        }
    }

    private static func failure(_ path: String) -> Failure {
        let error = errno
        return Failure(
            error == ENOSPC || error == EDQUOT ? .localSpace : .localInput,
            "unable to write '\(path)': \(String(cString: strerror(error)))")
    }
}
