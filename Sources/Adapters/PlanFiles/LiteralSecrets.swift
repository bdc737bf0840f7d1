// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc

/// Finds secrets written into the configuration itself.
enum LiteralSecrets {
    /// A warning for every literal secret in `document`.
    ///
    /// - Throws: `Failure(.configuration)` when there is one and others than the file's owner may read the file.
    static func check(_ document: ConfigNode) throws -> [String] {
        try places(document).map { place in
            guard SecretFile.isPrivate(place.mark.file) else {
                throw refusal(key: place.key, mark: place.mark)
            }
            return
                "\(place.mark): '\(place.key)' holds a secret itself; a reference (file:, env:, credential:) is safer"
        }
    }

    static func refusal(key: String, mark: ConfigMark) -> Failure {
        Failure(
            .configuration, "\(mark): '\(key)' holds a secret itself, and '\(mark.file)' is not of mode 0600",
            hint: "Refer to it with file:, env:, credential: or command:, or run chmod 600 on the file.")
    }

    private static func places(_ node: ConfigNode) -> [(key: String, mark: ConfigMark)] {
        switch node {
        case .scalar: return []
        case .sequence(let nodes, _): return nodes.flatMap(places)
        case .mapping(let pairs, _):
            return pairs.flatMap { pair -> [(key: String, mark: ConfigMark)] in
                guard case .scalar(let text, _, _) = pair.value else { return places(pair.value) }
                return isLiteralSecret(pair.key, text) ? [(pair.key, pair.mark)] : []
            }
        }
    }

    /// Whether `text` under `key` is a secret rather than a reference to one.
    static func isLiteralSecret(_ key: String, _ text: String) -> Bool {
        guard !text.isEmpty, text != "~", text != "null" else { return false }
        if PlanKeys.secrets.contains(key) {
            let mark = ConfigMark(file: "", line: 0, column: 0)
            if case .literal = SecretReference(text, mark: mark).kind { return true }
            return false
        }
        return passwordRange(inURL: text) != nil
    }

    /// Where the password is in `scheme://user:password@host`.
    static func passwordRange(inURL text: String) -> Range<String.Index>? {
        guard let scheme = text.range(of: "://") else { return nil }
        let rest = text[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else {
            return nil
        }
        let password = authority.index(after: colon)..<at
        return password.isEmpty ? nil : password
    }
}

/// Who may read a file.
enum SecretFile {
    /// Whether only its owner may read `path` (no bit for group or others).
    static func isPrivate(_ path: String) -> Bool {
        permissions(path).map { $0 & 0o077 == 0 } ?? false
    }

    /// The permission bits; nil when the file cannot be looked at.
    static func permissions(_ path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Int(status.st_mode & 0o7777)
    }
}
