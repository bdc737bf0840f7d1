// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// The little of cassandra.yaml that is needed: top-level texts and lists of texts. Anything else in the file is passed
/// over; a needed key in a form not understood is an error, never an empty list.
struct NodeConfiguration: Sendable {
    private var lists: [String: [String]] = [:]
    private var oddities: Set<String> = []

    init(_ text: String) {
        var key: String?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.isEmpty || trimmed.hasPrefix("#") || trimmed == "---" { continue }
            // A list may stand below its key with or without an indent.
            if trimmed.hasPrefix("- ") || trimmed == "-", let key {
                if let item = Self.scalar(String(trimmed.dropFirst())) {
                    lists[key, default: []].append(item)
                } else {
                    oddities.insert(key)
                }
                continue
            }
            guard line.first?.isWhitespace == false, let colon = trimmed.firstIndex(of: ":") else {
                // Something nested below a key that is no list.
                if let key { oddities.insert(key) }
                continue
            }
            let name = String(trimmed[..<colon])
            key = name
            let rest = trimmed[trimmed.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            if rest.isEmpty || rest.hasPrefix("#") { continue }
            if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
                let items = rest[rest.index(after: rest.startIndex)..<end].split(separator: ",")
                    .map { Self.scalar(String($0)) }
                if items.contains(nil) { oddities.insert(name) }
                lists[name] = items.compactMap { $0 }
            } else if let value = Self.scalar(rest) {
                lists[name] = [value]
            } else {
                oddities.insert(name)
            }
        }
    }

    /// The data directories, absolute.
    ///
    /// - Throws: `Failure(.configuration)` when the file does not say, or not plainly.
    func dataDirectories() throws -> [String] {
        let key = "data_file_directories"
        guard !oddities.contains(key), let found = lists[key], !found.isEmpty else {
            throw Failure(
                .configuration, "cassandra.yaml does not name its data directories in a form that is understood",
                hint:
                    "Set 'data-directories' in the plan; without the key in cassandra.yaml it is $CASSANDRA_HOME/data/data."
            )
        }
        return try found.map { text in
            guard let path = CassandraSettings.plain(text) else {
                throw Failure(
                    .configuration, "cassandra.yaml has the data directory '\(text)', which is no absolute path",
                    hint: "Set 'data-directories' in the plan.")
            }
            return path
        }
    }

    /// A plain or quoted text without its comment; nil for what this reader does not understand.
    private static func scalar(_ text: String) -> String? {
        let text = text.trimmingCharacters(in: .whitespaces)
        guard let first = text.first, !"{&*|>!".contains(first) else { return nil }
        if first == "\"" || first == "'" {
            guard let end = text.dropFirst().firstIndex(of: first), !text.contains("\\") else { return nil }
            return String(text[text.index(after: text.startIndex)..<end])
        }
        let plain = text.range(of: " #").map { String(text[..<$0.lowerBound]) } ?? text
        return plain.trimmingCharacters(in: .whitespaces)
    }
}
