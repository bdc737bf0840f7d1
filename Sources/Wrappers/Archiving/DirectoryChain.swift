// SPDX-License-Identifier: Apache-2.0
public import FileSystem
import Glibc

/// Opens the parent directories of paths below one root, part by part and following no link, and keeps those of the last
/// path open: in walk order nearly every path has the same parent as the one before.
public final class DirectoryChain {
    private let root: Descriptor
    private var parts: [(name: [UInt8], directory: Descriptor)] = []
    /// Relative paths of directories made by `parent` on the way.
    public private(set) var made: [[UInt8]] = []

    public init(root: Descriptor) {
        self.root = root
    }

    /// The directory that holds `path` and the last part of `path`. The descriptor stays open until the next call.
    ///
    /// - Parameter creating: whether missing directories on the way are made, with mode 0700.
    /// - Throws: `SystemError`; `ENOTDIR` or `ELOOP` when something on the way is a link or no directory, `EINVAL` for a
    ///   path that is empty, absolute, or has an empty part, `.` or `..`.
    public func parent(of path: [UInt8], creating: Bool = false) throws -> (directory: Int32, name: ArraySlice<UInt8>) {
        let wanted = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for part in wanted where part.isEmpty || part.elementsEqual(".".utf8) || part.elementsEqual("..".utf8) {
            throw SystemError("open", path: path, code: EINVAL)
        }
        guard let name = wanted.last, !path.contains(0) else { throw SystemError("open", path: path, code: EINVAL) }
        var depth = 0
        while depth < parts.count, depth < wanted.count - 1, parts[depth].name.elementsEqual(wanted[depth]) {
            depth += 1
        }
        parts.removeLast(parts.count - depth)
        for part in wanted[depth..<(wanted.count - 1)] { try descend(part, creating: creating) }
        return (parts.last?.directory.raw ?? root.raw, name)
    }

    /// Closes what is kept open.
    public func forget() {
        parts.removeAll()
    }

    private func descend(_ part: ArraySlice<UInt8>, creating: Bool) throws {
        let above = parts.last?.directory.raw ?? root.raw
        do {
            parts.append((Array(part), try Descriptor.directory(part, in: above)))
        } catch let error as SystemError where error.code == ENOENT && creating {
            if withCName(part, { mkdirat(above, $0, 0o700) }) != 0, errno != EEXIST {
                throw SystemError("make directory", path: part)
            }
            parts.append((Array(part), try Descriptor.directory(part, in: above)))
            made.append(Array(parts.map(\.name).joined(separator: [UInt8(ascii: "/")])))
        }
    }
}
