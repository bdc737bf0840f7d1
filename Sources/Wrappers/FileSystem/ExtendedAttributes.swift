// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Extended attributes of one file: by descriptor, or by name in an open directory where the file cannot be opened
/// (symbolic links, fifos, devices).
public enum ExtendedAttributes {
    /// Which file is meant.
    public enum Target {
        case descriptor(Int32)
        /// `name` in `directory`, itself never followed.
        case entry(UnsafePointer<CChar>, in: Int32)
    }

    /// Names of all attributes the caller may see, sorted; empty where the file system has none.
    ///
    /// - Throws: `SystemError`.
    public static func names(_ target: Target, path: @autoclosure () -> [UInt8]) throws -> [[UInt8]] {
        // Nearly all files have none: one call with a small buffer settles that.
        let first = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer -> (Int, [UInt8]) in
            let count = list(target, buffer.baseAddress, buffer.count)
            return (count, count > 0 ? buffer[..<count].map(UInt8.init(bitPattern:)) : [])
        }
        if first.0 == 0 { return [] }
        if first.0 > 0 { return split(first.1) }
        if errno == ENOTSUP || errno == ENOSYS { return [] }
        guard errno == ERANGE else { throw SystemError("list attributes", path: path()) }
        // 64 KiB is the kernel's own limit of a list (XATTR_LIST_MAX, xattr(7)).
        var buffer = [CChar](repeating: 0, count: 65536)
        let count = list(target, &buffer, buffer.count)
        guard count >= 0 else { throw SystemError("list attributes", path: path()) }
        return split(buffer[..<count].map(UInt8.init(bitPattern:)))
    }

    /// The value of one attribute; nil when it has gone.
    ///
    /// - Throws: `SystemError`.
    public static func value(
        _ name: [UInt8], of target: Target, path: @autoclosure () -> [UInt8]
    ) throws -> [UInt8]? {
        // 64 KiB is the kernel's own limit of a value (XATTR_SIZE_MAX, xattr(7)).
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = withCName(name) { name in
            switch target {
            case .descriptor(let descriptor): fgetxattr(descriptor, name, &buffer, buffer.count)
            case .entry(let entry, let directory):
                withLinkedPath(entry, directory) { lgetxattr($0, name, &buffer, buffer.count) }
            }
        }
        if count < 0, errno == ENODATA { return nil }
        guard count >= 0 else { throw SystemError("read attribute \(PathText.display(name)) of", path: path()) }
        return Array(buffer[..<count])
    }

    /// Sets one attribute.
    ///
    /// - Throws: `SystemError`.
    public static func set(
        _ name: [UInt8], to value: [UInt8], of target: Target, path: @autoclosure () -> [UInt8]
    ) throws {
        let result = withCName(name) { name in
            switch target {
            case .descriptor(let descriptor): fsetxattr(descriptor, name, value, value.count, 0)
            case .entry(let entry, let directory):
                withLinkedPath(entry, directory) { lsetxattr($0, name, value, value.count, 0) }
            }
        }
        guard result == 0 else { throw SystemError("set attribute \(PathText.display(name)) of", path: path()) }
    }

    /// Removes one attribute; one that is not there, or of a kind that the file system does not have, is as good as removed.
    ///
    /// - Throws: `SystemError`.
    public static func remove(_ name: [UInt8], of target: Target, path: @autoclosure () -> [UInt8]) throws {
        let result = withCName(name) { name in
            switch target {
            case .descriptor(let descriptor): fremovexattr(descriptor, name)
            case .entry(let entry, let directory): withLinkedPath(entry, directory) { lremovexattr($0, name) }
            }
        }
        guard result != 0, errno != ENODATA, errno != EOPNOTSUPP else { return }
        throw SystemError("remove attribute \(PathText.display(name)) of", path: path())
    }

    private static func list(_ target: Target, _ buffer: UnsafeMutablePointer<CChar>?, _ size: Int) -> Int {
        switch target {
        case .descriptor(let descriptor): flistxattr(descriptor, buffer, size)
        case .entry(let entry, let directory): withLinkedPath(entry, directory) { llistxattr($0, buffer, size) }
        }
    }

    /// The calls have no variant relative to a directory, but the kernel's own link to it is one (proc(5)).
    private static func withLinkedPath<Result>(
        _ entry: UnsafePointer<CChar>, _ directory: Int32, _ body: (UnsafePointer<CChar>) -> Result
    ) -> Result {
        let name = UnsafeBufferPointer(start: entry, count: strlen(entry)).map(UInt8.init(bitPattern:))
        return withCName(Array("/proc/self/fd/\(directory)/".utf8) + name, body)
    }

    private static func split(_ list: [UInt8]) -> [[UInt8]] {
        list.split(separator: 0).map(Array.init).sorted { $0.lexicographicallyPrecedes($1) }
    }
}
