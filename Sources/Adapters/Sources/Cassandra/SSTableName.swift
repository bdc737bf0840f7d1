// SPDX-License-Identifier: Apache-2.0
import Domain

/// The name of one component of an SSTable: `<version>-<id>-<format>-<component>`, such as `nb-12-big-Data.db`. The id is a
/// number that begins again at 1 with a new table, or, from 4.1 on where it is switched on, a unique text.
struct SSTableName: Hashable, Sendable {
    /// Two letters, such as `nb`; DataStax's `bti` also has one.
    var version: String
    var id: String
    /// `big` or `bti`.
    var format: String
    /// `Data.db`, `Digest.crc32`, `TOC.txt` …
    var component: String

    /// Reads a name; nil for any other file (`manifest.json`, `schema.cql`).
    init?(_ name: some StringProtocol) {
        let parts = String(name).split(separator: "-" as Character, maxSplits: 3, omittingEmptySubsequences: false)
            .map(String.init)
        guard parts.count == 4, (1...2).contains(parts[0].utf8.count), parts[0].utf8.allSatisfy(Self.isLetter),
            !parts[1].isEmpty, ["big", "bti"].contains(parts[2]), !parts[3].isEmpty
        else { return nil }
        (version, id, format, component) = (parts[0], parts[1], parts[2], parts[3])
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte) }

    /// The name of another component of the same SSTable.
    func with(component: String) -> String { "\(version)-\(id)-\(format)-\(component)" }

    /// The same component under another number.
    func with(id: String) -> String { "\(version)-\(id)-\(format)-\(component)" }

    /// The generation of a numbered SSTable.
    var generation: UInt64? { UInt64(id) }

    /// Format and version, such as `big-nb`, as release notes write them.
    var layout: String { "\(format)-\(version)" }
}

/// Which product and release a node runs, and which SSTables it reads.
struct CassandraRelease: Sendable, Equatable, CustomStringConvertible {
    /// Whose server it is: their SSTables do not load into each other's.
    enum Product: String, Sendable, Codable, CaseIterable {
        case cassandra
        case hcd
    }

    var product: Product
    var text: String
    var major: Int
    var minor: Int

    /// Reads `4.1.3` or `ReleaseVersion: 4.1.3-SNAPSHOT`.
    init?(_ text: String, product: Product) {
        let text = text.droppingPrefix("ReleaseVersion: ") ?? text
        let numbers = text.split(separator: ".", maxSplits: 2).map { Int($0.prefix { $0.isNumber }) }
        guard numbers.count >= 2, let major = numbers[0], let minor = numbers[1] else { return nil }
        self.product = product
        self.text = text
        self.major = major
        self.minor = minor
    }

    var description: String { "\(product == .hcd ? "DataStax HCD, Cassandra" : "Apache Cassandra") \(text)" }

    /// Whether the server has `nodetool import` and prints its schema itself (both from 4.0 on).
    var isFour: Bool { major >= 4 }

    /// Which SSTable layouts a server of this release opens: `ma` to `me` since 3.0, `na` and `nb` since 4.0, `oa` and
    /// bti `da` since 5.0; HCD reads what its own sstableloader names.
    func reads(_ layout: String) -> Bool {
        let old = ["big-ma", "big-mb", "big-mc", "big-md", "big-me"]
        if product == .hcd {
            // bb is what HCD 1.1 writes.
            return (old.dropLast() + ["bti-aa", "bti-ac", "bti-b", "bti-ba", "bti-bb"]).contains(layout)
        }
        switch major {
        case 3: return old.contains(layout)
        case 4: return (old + ["big-na", "big-nb"]).contains(layout)
        case 5: return (old + ["big-na", "big-nb", "big-oa", "bti-da"]).contains(layout)
        default: return false
        }
    }

    /// Why SSTables of `origin` must not be given to a server of this release; nil when they may.
    func refusal(of origin: CassandraRelease, layouts: [String]) -> String? {
        if origin.product != product {
            return "the bundle is of \(origin), the target is \(self): their SSTables do not load into each other"
        }
        if major < origin.major || (major == origin.major && minor < origin.minor && !layouts.allSatisfy(reads)) {
            return "the bundle is of \(origin), which is newer than the target's \(text): SSTables never go back"
        }
        if major > origin.major + 1 {
            return "the bundle is of \(origin), the target runs \(text): SSTables may skip no major release"
        }
        let unreadable = layouts.filter { !reads($0) }
        guard unreadable.isEmpty else {
            return "\(self) does not read SSTables of format \(unreadable.sorted().joined(separator: ", "))"
        }
        return nil
    }
}
