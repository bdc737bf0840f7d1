// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// What `nodetool` and `cqlsh` print, as values. Whatever is not understood is an error: a changed output format must not
/// look like an empty cluster.
enum ToolOutput {
    /// The rows of one `SELECT JSON`, as cqlsh prints them: a header, a line a row, and their number at the end, which is
    /// the proof that none is missing.
    static func rows(_ text: String) throws -> [JSONValue] {
        var rows: [JSONValue] = []
        var count: Int?
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.hasPrefix("{"), line.hasSuffix("}") {
                // cqlsh doubles the backslashes of a text column.
                let json = line.components(separatedBy: "\\\\").joined(separator: "\\")
                rows.append(try JSONDecoder().decode(JSONValue.self, from: Data(json.utf8)))
            } else if line.hasPrefix("("), let number = Int(line.dropFirst().prefix { $0.isNumber }),
                line.hasSuffix("rows)")
            {
                count = (count ?? 0) + number
            }
        }
        guard let count, count == rows.count else {
            throw Failure(
                .sourceFailed,
                "cqlsh printed \(rows.count) rows and said \(count.map(String.init) ?? "nothing") of them",
                hint: "Look at what cqlsh prints for a SELECT JSON on that host.")
        }
        return rows
    }

    /// `nodetool describecluster`: the schema versions, each with the addresses that have it.
    struct ClusterDescription: Sendable, Equatable {
        var name: String
        /// By version; nodes that do not answer are under `UNREACHABLE`.
        var schemaVersions: [String: [String]]

        /// The one version; nil when nodes differ or do not answer.
        var agreed: String? {
            schemaVersions.count == 1 ? schemaVersions.keys.first { $0 != "UNREACHABLE" } : nil
        }
    }

    static func clusterDescription(_ text: String) throws -> ClusterDescription {
        var description = ClusterDescription(name: "", schemaVersions: [:])
        var isInVersions = false
        for line in text.split(whereSeparator: \.isNewline) {
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if let name = trimmed.droppingPrefix("Name: ") { description.name = name }
            if trimmed == "Schema versions:" {
                isInVersions = true
            } else if isInVersions, let open = trimmed.range(of: ": ["), trimmed.hasSuffix("]") {
                let addresses = trimmed[open.upperBound...].dropLast().split(separator: ",")
                    .map { $0.trimmingCharacters(in: .whitespaces) }
                description.schemaVersions[String(trimmed[..<open.lowerBound])] = addresses
            } else if isInVersions, !line.hasPrefix("\t"), !line.hasPrefix(" ") {
                // 4.0 and later go on with statistics.
                isInVersions = false
            }
        }
        guard !description.schemaVersions.isEmpty else {
            throw Failure(.sourceFailed, "nodetool describecluster names no schema version")
        }
        return description
    }

    /// One line of `nodetool status`.
    struct NodeState: Sendable, Equatable {
        /// Two letters: up or down; normal, leaving, joining, moving.
        var state: String
        var address: String
        var hostID: String
    }

    static func status(_ text: String) throws -> [NodeState] {
        let states = text.split(whereSeparator: \.isNewline).compactMap { line -> NodeState? in
            let words = line.split(separator: " ").map(String.init)
            guard words.count > 4, words[0].count == 2, "UD".contains(words[0].prefix(1)),
                "NLJM".contains(words[0].suffix(1)), let host = words.first(where: { UUID(uuidString: $0) != nil })
            else { return nil }
            return NodeState(state: words[0], address: words[1], hostID: host.lowercased())
        }
        guard !states.isEmpty else { throw Failure(.sourceFailed, "nodetool status lists no node") }
        return states
    }

    /// The tags of `nodetool listsnapshots`.
    static func snapshotTags(_ text: String) -> Set<String> {
        var tags: Set<String> = []
        var isInTable = false
        for line in text.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("Snapshot name") {
                isInTable = true
            } else if isInTable, let first = line.split(separator: " ").first, !line.hasPrefix("Total TrueDiskSpace") {
                tags.insert(String(first))
            }
        }
        return tags
    }

    /// Java's warnings on standard output, which some packages bring about, do not belong to an answer.
    static func lines(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
