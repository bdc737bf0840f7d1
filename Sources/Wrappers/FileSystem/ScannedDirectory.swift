// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A directory that was opened and read, with the status of what is in it, as far as that was looked at already.
///
/// `@unchecked` because it is handed from the thread that reads it to the one that walks: one at a time has it.
public final class ScannedDirectory: @unchecked Sendable {
    /// Of so many entries the status is kept; a directory with millions of them is not to fill the memory.
    private static let limit = 4096
    /// The open directory; nil when it could not be opened.
    public private(set) var descriptor: Int32?
    /// Why it could not be opened: an `errno`.
    public private(set) var error: Int32 = 0
    private let listing = DirectoryListing()
    private var statuses: [FileStatus] = []
    private var failure: (any Error)?

    init() {}

    deinit { close() }

    /// Opens `name` in `directory`, not following a symbolic link, and reads it. What goes wrong is kept for who asks.
    func scan(_ name: UnsafePointer<CChar>, in directory: Int32) {
        close()
        statuses.removeAll(keepingCapacity: true)
        failure = nil
        let raw = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard raw >= 0 else { return error = errno }
        descriptor = raw
        do { try listing.read(raw, path: Self.bytes(name)) } catch { return failure = error }
        for index in 0..<min(listing.count, Self.limit) {
            // What is gone or cannot be looked at ends the looking ahead: who needs it asks again and gets the error.
            guard let status = try? FileStatus.find(listing.name(at: index), in: raw) else { return }
            statuses.append(status)
        }
    }

    /// Closes the directory. Harmless when done twice.
    func close() {
        if let descriptor { _ = Glibc.close(descriptor) }
        descriptor = nil
        error = 0
    }

    /// The names in it.
    ///
    /// - Throws: `SystemError` when they could not be read.
    public func names() throws -> DirectoryListing {
        if let failure { throw failure }
        return listing
    }

    /// The status of an entry, if it was looked at already.
    public func known(at index: Int) -> FileStatus? { index < statuses.count ? statuses[index] : nil }

    /// The status of an entry, as of a moment ago; nil when it is gone.
    ///
    /// - Throws: `SystemError`.
    public func status(at index: Int) throws -> FileStatus? {
        if index < statuses.count { return statuses[index] }
        return try FileStatus.find(listing.name(at: index), in: descriptor ?? -1)
    }

    private static func bytes(_ name: UnsafePointer<CChar>) -> [UInt8] {
        UnsafeBufferPointer(start: name, count: strlen(name)).map(UInt8.init(bitPattern:))
    }
}
