// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Durations as plans write them: `45s`, `10m`, `26h`, `30d`, `2w`, also together, largest first: `1d12h`.
public enum PlanDuration {
    private static let units: [(letter: Character, seconds: Int)] = [
        ("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1),
    ]

    /// Seconds of `text`; nil when it is not a duration of more than nothing and at most a hundred years.
    public static func seconds(_ text: String) -> Int? {
        var total = 0
        var number = ""
        var last = Int.max
        for character in text {
            if character.isASCII, character.isNumber {
                number.append(character)
                continue
            }
            guard let unit = units.first(where: { $0.letter == character }), let value = Int(number),
                value <= 4_000_000_000, unit.seconds < last
            else { return nil }
            total += value * unit.seconds
            last = unit.seconds
            number = ""
        }
        guard number.isEmpty, total > 0, total <= 100 * 366 * 86_400 else { return nil }
        return total
    }

    /// The shortest text that `seconds(_:)` reads as `seconds`.
    public static func text(_ seconds: Int) -> String {
        // Hours and days beyond their usual number stay as people write them: 26h, 36h, 30d.
        for unit in units.dropFirst() where seconds % unit.seconds == 0 {
            return "\(seconds / unit.seconds)\(unit.letter)"
        }
        return "\(seconds)s"
    }
}

extension ConfigReader {
    /// A duration in seconds; nil when absent.
    public func duration(_ key: String) throws -> Int? {
        guard let text = try string(key) else { return nil }
        guard let seconds = PlanDuration.seconds(text) else {
            throw failure(
                key, "must be a duration like 10m, 26h or 30d, not '\(text)'",
                hint: "Units are s, m, h, d and w, the largest first.")
        }
        return seconds
    }
}
