// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Where a program lies. Found before a child is made: swift-subprocess makes one for every folder of PATH and lets each try.
enum ProgramPath {
    /// The first executable file called `name` in the folders of `path`, or of this process's PATH; nil when there is none.
    /// A name with a slash is a place already.
    static func of(_ name: String, in path: String?) -> String? {
        let places =
            name.contains("/")
            ? [name]
            : (path ?? getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").map { "\($0)/\(name)" }
        return places.first { place in
            var status = stat()
            return stat(place, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(place, X_OK) == 0
        }
    }
}
