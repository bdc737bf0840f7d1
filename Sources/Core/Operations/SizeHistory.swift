// SPDX-License-Identifier: Apache-2.0
import Domain

/// What captures weigh, compared with those before that are alike: an incremental tar says nothing about a full one, while
/// a dump has its whole length however it is stored.
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
            usualRawBytes: usual(manifests.map { ($0.rawBytes, form($0.sources)) }))
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
            usualRawBytes: usual(captures.map { (raw($0.source), form([$0.source])) }))
        return (last.id, size)
    }

    /// The median of what came before the last one and has its form.
    private static func usual(_ captures: [(bytes: UInt64, form: Set<String>)]) -> UInt64? {
        guard let last = captures.last else { return nil }
        let alike = captures.dropLast().filter { $0.form == last.form }.suffix(reach).map(\.bytes).sorted()
        return alike.count < fewest ? nil : alike[alike.count / 2]
    }

    /// How the trees among the streams are stored.
    private static func form(_ sources: [Manifest.Source]) -> Set<String> {
        Set(
            sources.flatMap { source in
                source.streams.filter { $0.kind == .tar }.map { "\(source.name)/\($0.name)/\($0.storage.rawValue)" }
            })
    }

    private static func raw(_ source: Manifest.Source) -> UInt64 { source.streams.reduce(0) { $0 + $1.rawBytes } }
}
