// SPDX-License-Identifier: Apache-2.0
import Domain

/// What captures weigh, compared with those before that are alike. A dump has its whole length however it is stored; of a
/// tree only fulls are compared, since an incremental is as large as what its night brought.
enum SizeHistory {
    /// As many earlier captures are looked at.
    private static let reach = 14
    /// Fewer than this many are no history.
    private static let fewest = 3

    /// Of the newest of `manifests` (oldest first) as a whole.
    static func bundle(_ manifests: [Manifest]) -> Status.Size? {
        guard let last = manifests.last else { return nil }
        return Status.Size(
            rawBytes: last.rawBytes, storedBytes: last.storedBytes,
            seconds: last.finished.seconds(since: last.started),
            usualRawBytes: usual(manifests.map { ($0.rawBytes, isWhole($0.sources)) }))
    }

    /// Of one source in the newest of `manifests` (oldest first) that has it.
    static func source(_ name: String, _ manifests: [Manifest]) -> (bundle: BundleID, size: Status.Size)? {
        let captures = manifests.compactMap { manifest in
            manifest.sources.first { $0.name == name && $0.state == .ok }.map { (id: manifest.id, source: $0) }
        }
        guard let last = captures.last else { return nil }
        let size = Status.Size(
            rawBytes: raw(last.source), storedBytes: last.source.streams.reduce(0) { $0 + $1.storedBytes },
            seconds: last.source.finished.seconds(since: last.source.started),
            usualRawBytes: usual(captures.map { (raw($0.source), isWhole([$0.source])) }))
        return (last.id, size)
    }

    /// The median of what came before the last one and is whole, as it is.
    private static func usual(_ captures: [(bytes: UInt64, isWhole: Bool)]) -> UInt64? {
        guard captures.last?.isWhole == true else { return nil }
        let alike = captures.dropLast().filter(\.isWhole).suffix(reach).map(\.bytes).sorted()
        return alike.count < fewest ? nil : alike[alike.count / 2]
    }

    private static func isWhole(_ sources: [Manifest.Source]) -> Bool {
        !sources.contains { source in source.streams.contains { $0.storage == .incremental } }
    }

    private static func raw(_ source: Manifest.Source) -> UInt64 { source.streams.reduce(0) { $0 + $1.rawBytes } }
}
