// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Room in a repository that will not last.
public enum StorageRoom {
    /// Days that the room should last.
    static let days = 14.0
    /// Nights that tell how fast it fills.
    private static let nights = 30
    /// In days.
    private static let shortestSpan = 2.0

    /// - Parameters:
    ///   - room: bytes that can still be written; nil: nobody knows, as with buckets.
    ///   - manifests: the plan's bundles, oldest first.
    /// - Returns: nil when there is room for another full and two weeks at the recent pace, or nothing is known.
    public static func finding(plan: Plan, room: UInt64?, manifests: [Manifest], now: Timestamp) -> Finding? {
        guard let room else { return nil }
        var reasons: [String] = []
        var isUrgent = false
        if let full = storedByLastFull(manifests), room < full {
            isUrgent = true
            reasons.append("that is less than the last full took: \(Size.text(full))")
        }
        let recent = manifests.suffix(nights)
        if let first = recent.first, let last = recent.last, recent.count >= 3 {
            let span = last.started.seconds(since: first.started) / 86_400
            // The first one's bytes were stored before the span began.
            let bytes = recent.dropFirst().reduce(0.0) { $0 + Double($1.storedBytes) }
            // A few bundles in a row by hand are no pace.
            if span >= shortestSpan, bytes > 0 {
                let left = Double(room) / (bytes / span)
                if left < days {
                    reasons.append(
                        "at the pace of the last \(recent.count) bundles it lasts \(Length.text(left * 86_400))")
                }
            }
        }
        guard !reasons.isEmpty else { return nil }
        return Finding(
            .storage, .storageFilling, since: now, signature: isUrgent ? "no room for a full" : "filling",
            title: "the repository fills", what: ["\(Size.text(room)) are free in \(plan.repository.store)"] + reasons,
            next: [
                NextStep("salvor prune \(plan.name)", "see what the policy would remove; --apply removes it"),
                NextStep("salvor doctor \(plan.name)", "see the room everywhere"),
                NextStep(nil, "Or make the disk larger."),
            ], severity: isUrgent ? .error : .warning)
    }

    /// Stored bytes of the newest full of every stream; nil when there is none.
    public static func storedByLastFull(_ manifests: [Manifest]) -> UInt64? {
        var newest: [[String]: UInt64] = [:]
        for manifest in manifests {
            for source in manifest.sources {
                for stream in source.streams where stream.storage == .full {
                    newest[[source.name, stream.name]] = stream.storedBytes
                }
            }
        }
        return newest.isEmpty ? nil : newest.values.reduce(0, +)
    }
}

/// Keys that end soon, or cannot be used any more.
public enum KeyExpiry {
    /// Names of the checks that are about a key's life.
    private static let names = ["recipient", "recipients", "signer", "certificate"]

    /// - Parameter checks: those of `BundleRepository.keyChecks`, and of certificates.
    /// - Returns: nil when all of them are usable for long enough.
    public static func finding(plan: Plan, checks: [Check], now: Timestamp) -> Finding? {
        let bad = checks.filter { names.contains($0.name) && $0.state != .ok }
        guard !bad.isEmpty else { return nil }
        let isOver = bad.contains { $0.state == .failed }
        var next: [NextStep] = []
        for remedy in bad.compactMap(\.remedy) {
            let step = NextStep(nil, OneLine.of(remedy))
            if !next.contains(step) { next.append(step) }
        }
        return Finding(
            .keys, .expiring, since: now,
            // Without the days left, which change daily.
            signature: bad.map { "\($0.name):\($0.state.rawValue):\($0.detail.split(separator: " ").first ?? "")" }
                .sorted().joined(separator: ","),
            title: isOver ? "a key cannot be used" : "a key or certificate ends soon",
            what: bad.map { "\($0.name): \(OneLine.of($0.detail))" },
            next: next + [NextStep("salvor doctor \(plan.name)", "see all keys")],
            severity: isOver ? .critical : .warning)
    }
}
