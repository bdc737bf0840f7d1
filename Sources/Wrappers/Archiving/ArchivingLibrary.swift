// SPDX-License-Identifier: Apache-2.0
import CArchive

/// The libarchive this process runs with.
public enum ArchivingLibrary {
    /// Version of the loaded library, such as `3.6.2`.
    public static var version: String { plain(archive_version_number()) }

    /// Version of the headers this program was built with.
    public static var builtAgainst: String { plain(ARCHIVE_VERSION_NUMBER) }

    /// Whether the loaded library is at least as new as the headers, within the same major version.
    public static var isCompatible: Bool {
        archive_version_number() >= ARCHIVE_VERSION_NUMBER
            && archive_version_number() / 1_000_000 == ARCHIVE_VERSION_NUMBER / 1_000_000
    }

    /// 3006002 is 3.6.2.
    private static func plain(_ number: Int32) -> String {
        "\(number / 1_000_000).\(number / 1000 % 1000).\(number % 1000)"
    }
}
