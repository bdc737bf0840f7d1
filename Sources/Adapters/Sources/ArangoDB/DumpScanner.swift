// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

/// Looks into the tar of a dump while it passes by: which collections it has, and how many documents each.
struct DumpScanner: Sendable {
    private let scanner = TarScanner { path in
        if path.hasSuffix(".structure.json") { return .bytes }
        return path.hasSuffix(".data.json") ? .lines : .nothing
    }

    func take(_ bytes: UnsafeRawBufferPointer) { scanner.take(bytes) }

    /// Documents by collection, once everything was taken.
    ///
    /// - Throws: `Failure(.sourceFailed)` when the tar is not whole, `Failure(.integrity)` when a file in it is damaged.
    func finish() throws -> [String: Int64] {
        let files = try scanner.finish()
        var found: [String: Int64] = [:]
        for (path, file) in files {
            guard let base = path.droppingSuffix(".structure.json") else { continue }
            let structure = try JSONValue.reading(file.bytes, "the dump's '\(path)'")
            guard let name = structure["parameters"]?["name"]?.string else {
                throw Failure(.sourceFailed, "the dump's '\(path)' names no collection")
            }
            found[name] = files[base + ".data.json"]?.lines ?? 0
        }
        return found
    }
}
