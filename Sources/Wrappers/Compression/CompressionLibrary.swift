// SPDX-License-Identifier: Apache-2.0
import CZstd

/// The libzstd this process runs with.
public enum CompressionLibrary {
    /// Version of the loaded library, such as `1.5.4`.
    public static var version: String { String(cString: ZSTD_versionString()) }

    /// Version of the headers this program was built with.
    public static var builtAgainst: String {
        "\(ZSTD_VERSION_MAJOR).\(ZSTD_VERSION_MINOR).\(ZSTD_VERSION_RELEASE)"
    }

    /// Whether the loaded library is at least as new as the headers, within the same major version, which is what
    /// libzstd's stable interface promises to work with.
    public static var isCompatible: Bool {
        let loaded = Int(ZSTD_versionNumber())
        let built = Int(ZSTD_VERSION_MAJOR) * 10_000 + Int(ZSTD_VERSION_MINOR) * 100 + Int(ZSTD_VERSION_RELEASE)
        return loaded >= built && loaded / 10_000 == Int(ZSTD_VERSION_MAJOR)
    }

    /// The one place where libzstd's return values are judged.
    @discardableResult
    static func check(_ call: String, _ code: Int) throws(CompressionError) -> Int {
        guard ZSTD_isError(code) == 0 else {
            throw .library(call: call, reason: String(cString: ZSTD_getErrorName(code)))
        }
        return code
    }

    /// Memory for a context could not be had.
    static func outOfMemory(_ call: String) -> CompressionError {
        .library(call: call, reason: "out of memory")
    }

    /// The widest window stock `zstd -d` accepts without `--long` (128 MiB).
    static let windowLogLimit: Int32 = 27
}
