// SPDX-License-Identifier: Apache-2.0
import Domain
public import Operations

/// What `status` knows, as metrics. Moments are exported as they are, never as ages, so that they stay true however old the
/// file is; a moment that never was is 0, so that a rule on its age fires.
public enum StatusMetrics {
    /// - Parameters:
    ///   - version: of this program.
    ///   - intervals: seconds after which a plan without a success is overdue, where it is not its recovery-point objective.
    public static func families(_ entries: [Status.Entry], version: String, intervals: [String: Int] = [:])
        -> [MetricFamily]
    {
        var build = MetricFamily("salvor_build_info", "Which Salvor this is; always 1.")
        build.add(1, [.init("version", version), .init("format", "\(currentFormat)")])
        return [build] + repository(entries) + bundles(entries, intervals) + sources(entries) + proofs(entries)
            + runs(entries) + outlook(entries)
    }

    /// One family with a sample of each plan that has the value.
    private static func perPlan(
        _ name: String, _ help: String, _ entries: [Status.Entry], _ value: (Status.Entry) -> Double?
    ) -> MetricFamily {
        var family = MetricFamily(name, help)
        for entry in entries { family.add(value(entry), [.init("plan", entry.plan)]) }
        return family
    }

    private static func repository(_ entries: [Status.Entry]) -> [MetricFamily] {
        [
            perPlan(
                "salvor_status_timestamp_seconds", "When the plan's state was found out.", entries, { moment($0.at) }),
            perPlan(
                "salvor_repository_up", "Whether the plan's repository answered.", entries, { $0.isReachable ? 1 : 0 }),
            perPlan("salvor_repository_bundles", "Bundles the plan has in its repository.", entries) {
                $0.isSeen ? Double($0.bundles) : nil
            },
            perPlan("salvor_repository_stored_bytes", "Stored bytes of all of the plan's bundles.", entries) {
                $0.isSeen ? Double($0.storedBytes) : nil
            },
            perPlan(
                "salvor_repository_free_bytes", "Bytes the store can still take, if it tells.", entries,
                { $0.freeBytes.map { Double($0) } }),
        ]
    }

    private static func bundles(_ entries: [Status.Entry], _ intervals: [String: Int]) -> [MetricFamily] {
        [
            perPlan(
                "salvor_last_success_timestamp_seconds",
                "When the newest complete bundle was begun, the point to recover to; 0: there is none.", entries
            ) { $0.lastGood.map { moment($0.started) } ?? ($0.isReachable ? 0 : nil) },
            perPlan(
                "salvor_backup_expected_interval_seconds",
                "After so long without a success the plan is overdue: its recovery-point objective or its schedule.",
                entries
            ) { ($0.objectiveSeconds ?? intervals[$0.plan]).map { Double($0) } },
            perPlan(
                "salvor_bundle_raw_bytes", "Captured bytes of the newest complete bundle.", entries,
                { $0.size.map { Double($0.rawBytes) } }),
            perPlan(
                "salvor_bundle_stored_bytes", "Stored bytes of the newest complete bundle.", entries,
                { $0.size.map { Double($0.storedBytes) } }),
            perPlan(
                "salvor_bundle_duration_seconds", "How long the newest complete bundle took.", entries,
                { $0.size?.seconds }),
        ]
    }

    private static func sources(_ entries: [Status.Entry]) -> [MetricFamily] {
        func perSource(_ name: String, _ help: String, _ value: (Status.Entry, Status.Source) -> Double?)
            -> MetricFamily
        {
            var family = MetricFamily(name, help)
            for entry in entries {
                for source in entry.sources {
                    family.add(value(entry, source), [.init("plan", entry.plan), .init("source", source.name)])
                }
            }
            return family
        }
        return [
            perSource(
                "salvor_source_last_success_timestamp_seconds",
                "When the newest bundle that has the source was begun; 0: there is none."
            ) { entry, source in source.lastGood.map { moment($0.started) } ?? (entry.isReachable ? 0 : nil) },
            perSource("salvor_source_failed", "Whether the source is missing from the last run.") {
                $1.failure == nil ? 0 : 1
            },
            perSource("salvor_source_raw_bytes", "Captured bytes of the source in its newest bundle.") {
                $1.size.map { Double($0.rawBytes) }
            },
            perSource(
                "salvor_source_usual_raw_bytes", "The median of the source's captures before that are alike."
            ) { $1.size?.usualRawBytes.map { Double($0) } },
            perSource("salvor_source_stored_bytes", "Stored bytes of the source in its newest bundle.") {
                $1.size.map { Double($0.storedBytes) }
            },
            perSource("salvor_source_duration_seconds", "How long the source's newest capture took.") {
                $1.size?.seconds
            },
        ]
    }

    private static func proofs(_ entries: [Status.Entry]) -> [MetricFamily] {
        var proofs = MetricFamily(
            "salvor_proof_timestamp_seconds",
            "When any bundle of the plan was last proven at this level or a higher one; 0: never.")
        for entry in entries where entry.isSeen {
            for level in ProofLevel.allCases {
                let last = entry.lastProofs.first { $0.level == level }
                proofs.add(
                    last.map { moment($0.at) } ?? 0, [.init("plan", entry.plan), .init("level", level.rawValue)])
            }
        }
        let problems = perPlan(
            "salvor_proof_problems", "Whether the last validation of the newest complete bundle found problems.",
            entries
        ) { entry in entry.proof.map { $0.problems == nil ? 0 : 1 } }
        return [proofs, problems]
    }

    private static func runs(_ entries: [Status.Entry]) -> [MetricFamily] {
        var outcomes = MetricFamily(
            "salvor_run_outcome", "How the last run of a kind ended on this host: 1 for its outcome, 0 for the others.")
        var ends = MetricFamily("salvor_run_timestamp_seconds", "When the last run of a kind ended on this host.")
        var durations = MetricFamily("salvor_run_duration_seconds", "How long the last run of a kind took.")
        for entry in entries {
            for run in entry.lastRuns {
                let labels = [MetricFamily.Label("plan", entry.plan), .init("kind", run.kind.rawValue)]
                for outcome in RunRecord.Outcome.allCases {
                    outcomes.add(run.outcome == outcome ? 1 : 0, labels + [.init("outcome", outcome.rawValue)])
                }
                ends.add(moment(run.finished), labels)
                durations.add(run.finished.seconds(since: run.started), labels)
            }
        }
        let pending = perPlan(
            "salvor_run_records_pending", "Records of runs that wait on this host for the repository.", entries,
            { Double($0.pendingRecords) })
        return [outcomes, ends, durations, pending]
    }

    private static func outlook(_ entries: [Status.Entry]) -> [MetricFamily] {
        var keys = MetricFamily(
            "salvor_key_expiry_timestamp_seconds", "When a key that the plan's runs need ends; none: it does not.")
        for entry in entries {
            for key in entry.keys {
                keys.add(
                    key.expires.map(moment),
                    [
                        .init("plan", entry.plan), .init("role", key.role.rawValue),
                        .init("fingerprint", key.fingerprint),
                    ])
            }
        }
        return [
            keys,
            perPlan(
                "salvor_next_run_timestamp_seconds", "When the plan's timer is due next.", entries,
                { $0.nextRun.map(moment) }),
            perPlan(
                "salvor_drill_timestamp_seconds", "When the last drill that succeeded ended; 0: never.", entries
            ) { $0.lastDrill.map(moment) ?? ($0.drillEverySeconds == nil ? nil : 0) },
            perPlan(
                "salvor_drill_expected_interval_seconds", "After so long without a drill one is overdue.", entries,
                { $0.drillEverySeconds.map { Double($0) } }),
            perPlan("salvor_problems", "What 'salvor status' calls wrong.", entries) { Double($0.problems.count) },
            perPlan("salvor_warnings", "What 'salvor status' warns of.", entries) { Double($0.warnings.count) },
        ]
    }

    private static func moment(_ moment: Timestamp) -> Double {
        Double(moment.seconds) + Double(moment.nanoseconds) / 1e9
    }
}
