// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Room on this host's disks.
public enum DiskRoom {
    /// Bytes that can still be written to the folder, or to where it would be made; nil when the disk does not tell.
    public static func free(_ path: String) -> UInt64? {
        var place = URL(fileURLWithPath: path).standardizedFileURL
        while place.path != "/", !FileManager.default.fileExists(atPath: place.path) {
            place.deleteLastPathComponent()
        }
        // Not to know is an answer.
        let facts = try? FileManager.default.attributesOfFileSystem(forPath: place.path)
        return (facts?[.systemFreeSize] as? NSNumber)?.uint64Value
    }
}
