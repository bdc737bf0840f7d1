// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The files of the project that users copy.
enum ExampleFiles {
    /// The path of `name`, which is relative to the project's root.
    static func path(_ name: String, from file: String = #filePath) -> String {
        URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent(name).path
    }
}
