// SPDX-License-Identifier: Apache-2.0
import Domain

/// One number of each of the newest complete bundles, as bars from zero.
struct BarChart {
    let title: String
    let width = 720
    let height = 110
    let base = 94
    let labelY = 107
    /// What the highest bar is.
    let top: String
    /// The first and the last day.
    let from: String
    let to: String
    var bars: [Bar] = []

    struct Bar {
        var x, y, w, h: String
        var title: String
    }

    /// As many bundles are shown.
    static let most = 90
    private static let roof = 16.0

    /// - Parameter text: a value for people.
    init?(_ title: String, _ manifests: [Manifest], value: (Manifest) -> Double, text: (Double) -> String) {
        let shown = manifests.suffix(Self.most)
        guard let first = shown.first, let last = shown.last else { return nil }
        let values = shown.map { max(0, value($0)) }
        let highest = values.max() ?? 0
        self.title = title
        top = text(highest)
        from = String("\(first.started)".prefix(10))
        to = String("\(last.started)".prefix(10))
        let step = Double(width) / Double(max(shown.count, 14))
        for (index, (manifest, value)) in zip(shown, values).enumerated() {
            // What is there should be seen, however small.
            let high = highest > 0 ? max(1, value / highest * (Double(base) - Self.roof)) : 1
            bars.append(
                Bar(
                    x: Self.number(Double(index) * step), y: Self.number(Double(base) - high),
                    w: Self.number(step * 0.8), h: Self.number(high), title: "\(manifest.id): \(text(value))"))
        }
    }

    private static func number(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
