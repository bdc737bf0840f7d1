// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Reporting

/// How the sources of a bundle relate in time, for people.
enum GroupText {
    /// In a line or two; empty for a bundle without a group.
    static func lines(_ manifest: Manifest) -> [String] {
        guard let group = manifest.group else { return [] }
        guard !group.sources.isEmpty else { return ["group: NONE, \(group.missing.joined(separator: ", ")) missing"] }
        let names = group.sources.joined(separator: ", ")
        var lines = ["group: \(names) as of one moment, within \(duration(group.skewMicroseconds))"]
        if let paused = group.paused { lines[0] += "; paused for \(duration(paused.microseconds))" }
        if !group.isWhole { lines.append("group: NOT WHOLE, \(group.missing.joined(separator: ", ")) missing") }
        return lines
    }

    /// With every source's moment and position; empty for a bundle without a group.
    static func details(_ manifest: Manifest) -> [String] {
        guard manifest.group != nil else { return [] }
        return lines(manifest)
            + manifest.sources.filter { $0.state == .ok }.map { source in
                guard let frozen = source.frozen else {
                    return "  \(source.name): read meanwhile, from \(source.started) to \(source.finished)"
                }
                let position = source.position.map { ", at \(PrintableText.of($0))" } ?? ""
                return "  \(source.name): frozen \(ClockInterval.text(frozen.from)), "
                    + "within \(duration(frozen.microseconds))\(position)"
            }
    }

    /// `0.4 ms`, `38 ms`, `5.0 s`.
    static func duration(_ microseconds: Int64) -> String {
        switch microseconds {
        case ..<10_000: String(format: "%.1f ms", Double(microseconds) / 1000)
        case ..<1_000_000: "\(microseconds / 1000) ms"
        default: String(format: "%.1f s", Double(microseconds) / 1_000_000)
        }
    }
}
