// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain

/// Looks for files in bundles.
public struct Find: Sendable {
    let repository: any BundleRepository

    public init(repository: any BundleRepository) {
        self.repository = repository
    }

    /// One file in one bundle.
    public struct Match: Sendable, Codable, Equatable {
        public var bundle: BundleID
        public var source: String
        /// Printable; odd bytes escaped.
        public var path: String
        public var size: UInt64
        public var modified: Timestamp
    }

    /// Files whose escaped path contains `text`, or, with `*` or `?` in it, matches it as a whole; and the names of sources
    /// that were not looked into, since no key here opens them.
    public func run(_ text: String, in bundles: [BundleID]) async throws -> (matches: [Match], sealed: Set<String>) {
        let pattern = Array(text.utf8)
        let isGlob = text.contains { $0 == "*" || $0 == "?" }
        var (matches, sealed) = ([Match](), Set<String>())
        for id in bundles {
            let bundle = try await repository.open(id)
            sealed.formUnion(bundle.sealed.keys)
            for source in bundle.manifest.sources where source.state == .ok && bundle.sealed[source.name] == nil {
                for stream in try await bundle.streams(of: source.name) {
                    if stream.kind == .raw, matchesName(stream.fileName, pattern, isGlob) {
                        matches.append(
                            Match(
                                bundle: id, source: source.name, path: stream.fileName, size: stream.receipt.length,
                                modified: bundle.manifest.started))
                    }
                    try EffectiveTree.forEach(stream) { member, _ in
                        guard matchesName(member.displayPath, pattern, isGlob) else { return }
                        matches.append(
                            Match(
                                bundle: id, source: source.name, path: member.displayPath, size: member.size,
                                modified: Timestamp(seconds: member.modified / 1_000_000_000)))
                    }
                }
            }
        }
        return (matches, sealed)
    }

    private func matchesName(_ name: String, _ pattern: [UInt8], _ isGlob: Bool) -> Bool {
        isGlob
            ? Self.glob(pattern[...], Array(name.utf8)[...]) : name.contains(String(decoding: pattern, as: UTF8.self))
    }

    /// `*` stands for anything, `?` for one byte. Linear but for the last star, as usual.
    static func glob(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        var (p, n) = (pattern.startIndex, name.startIndex)
        var star: (pattern: Int, name: Int)?
        while n < name.endIndex {
            if p < pattern.endIndex, pattern[p] == UInt8(ascii: "*") {
                star = (p, n)
                p += 1
            } else if p < pattern.endIndex, pattern[p] == UInt8(ascii: "?") || pattern[p] == name[n] {
                p += 1
                n += 1
            } else if let last = star {
                p = last.pattern + 1
                n = last.name + 1
                star = (last.pattern, n)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
