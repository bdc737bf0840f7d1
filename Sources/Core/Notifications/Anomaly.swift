// SPDX-License-Identifier: Apache-2.0
import Domain

/// Sizes and durations far from what a plan's runs usually have.
///
/// Each source is compared with the least and the most it had in its good runs, since trees are captured whole on some
/// nights and in their changes on others: what lies a factor of two outside is far. Small differences never are.
enum Anomaly {
    /// Runs to compare with, at least.
    static let fewest = 5
    /// And at most: enough for a month of nights with its full.
    static let most = 62
    private static let factor: UInt64 = 2
    private static let smallestDifference: UInt64 = 1 << 20
    private static let shortestDifference = 600.0
    /// What has been unusual for so long is usual now.
    static let patience = 7 * 86_400.0

    /// - Parameters:
    ///   - nights: earlier whole runs, newest last.
    ///   - since: since when it is unusual; what came later is not compared with, or it would vouch for itself.
    static func finding(_ record: RunRecord, nights: [RunRecord], since: Timestamp?) -> Finding? {
        let isTooOld = since.map { record.started.seconds(since: $0) > patience } ?? false
        let usual = nights.filter { night in
            night.outcome == .ok && (isTooOld || since.map { night.started < $0 } ?? true)
        }.suffix(most)
        guard usual.count >= fewest else { return nil }
        var what: [String] = []
        for source in record.sources where source.failure == nil {
            let sizes = usual.compactMap { night in night.sources.first { $0.name == source.name }?.rawBytes }
            guard sizes.count >= fewest, let least = sizes.min(), let most = sizes.max() else { continue }
            if isFar(source.rawBytes, least, most) {
                what.append(
                    "\(source.name): \(Size.text(source.rawBytes)), where \(sizes.count) earlier runs had "
                        + (least == most ? Size.text(least) : "\(Size.text(least)) to \(Size.text(most))"))
            }
        }
        let names = what.compactMap { $0.split(separator: ":").first.map(String.init) }
        let durations = usual.map { $0.finished.seconds(since: $0.started) }
        let duration = record.finished.seconds(since: record.started)
        let longest = durations.max() ?? 0
        let isLong = duration > 2 * longest && duration - longest > shortestDifference
        if isLong {
            what.append("it took \(Length.text(duration)), where earlier runs took \(Length.text(longest)) at most")
        }
        guard !what.isEmpty else { return nil }
        var next = [NextStep("salvor show \(record.bundle ?? record.id)", "see what was captured")]
        if let before = usual.last?.bundle, let bundle = record.bundle {
            next.append(NextStep("salvor diff \(before) \(bundle)", "compare it with the last usual one"))
        }
        return Finding(
            .anomaly, .anomaly, since: since ?? record.started,
            signature: names.joined(separator: ",") + (isLong ? ",duration" : ""),
            title: names.isEmpty ? "backup took unusually long" : "backup of unusual size", what: what, next: next,
            severity: .warning, subject: record.bundle)
    }

    private static func isFar(_ size: UInt64, _ least: UInt64, _ most: UInt64) -> Bool {
        // What varies that much anyway is a tree, of which a night may well change nothing.
        if size < least { return most / 4 <= least && least - size > smallestDifference && size < least / factor }
        return size > most && size - most > smallestDifference && size / factor > most
    }
}
