// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A folder of mode 0700 that is removed when the value goes away.
public final class TemporaryDirectory: Sendable {
    /// Absolute path without a trailing slash.
    public let path: String

    public init(_ name: String = "test") throws {
        path =
            FileManager.default.temporaryDirectory.path + "/salvor-\(name)-\(UUID().uuidString.prefix(8).lowercased())"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit {
        // Left-overs in the temporary folder harm nobody; a failing test must not be hidden by its clean-up.
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of `name` inside.
    public func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file inside and gives its path.
    @discardableResult
    public func write(_ name: String, _ text: String) throws -> String {
        let file = self(name)
        try FileManager.default.createDirectory(
            atPath: URL(fileURLWithPath: file).deletingLastPathComponent().path, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }
}
