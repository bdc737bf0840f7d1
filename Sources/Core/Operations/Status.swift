// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Tells of every plan whether it holds what it promised.
public struct Status: Sendable {
    let clock: any WallClock
    let limit: Duration?

    /// - Parameter limit: how long a repository may take to answer; nil: as long as its store's own limits allow.
    public init(clock: any WallClock, limit: Duration? = nil) {
        self.clock = clock
        self.limit = limit
    }

    /// The state of a plan. Nothing is thrown: what could not be found out is one of its problems.
    ///
    /// - Parameters:
    ///   - history: the runs this host remembers of the plan; nil: none.
    ///   - isRunning: whether a run of the plan is under way here, so that one that began and did not end is not dead.
    ///   - nextRun: when the plan's timer is due next.
    ///   - repository: opens the plan's repository.
    public func entry(
        _ plan: Plan, history: (any RunHistory)? = nil, isRunning: Bool = false, nextRun: Timestamp? = nil,
        repository: @escaping @Sendable () async throws -> any BundleRepository
    ) async -> Entry {
        let now = clock.now()
        var entry = Entry(plan, at: now)
        entry.nextRun = nextRun
        if let history {
            do { try entry.take(history, isRunning: isRunning) } catch {
                entry.problems.append(Failure.wrapping(error).summary)
            }
        }
        if plan.repository.access == .putOnly {
            await entry.takeMemory(of: plan, repository)
        } else {
            await entry.takeHoldings(of: plan, limit, repository)
        }
        entry.takeDrills()
        entry.judgeAge()
        entry.judgeRuns()
        entry.judgeTrend()
        return entry
    }
}

extension Status.Entry {
    /// What the repository shows.
    fileprivate mutating func takeHoldings(
        of plan: Plan, _ limit: Duration?, _ repository: @escaping @Sendable () async throws -> any BundleRepository
    ) async {
        let now = at
        do {
            let holdings = try await AnswerLimit.run(limit, "the repository of plan '\(plan.name)'") {
                try await Holdings.read(plan, try await repository(), at: now)
            }
            take(holdings, plan)
        } catch {
            problems.insert(Failure.wrapping(error).summary, at: 0)
        }
    }

    /// A host that may only put knows its own runs: the last one that put a bundle reached the repository.
    fileprivate mutating func takeMemory(
        of plan: Plan, _ repository: @escaping @Sendable () async throws -> any BundleRepository
    ) async {
        do {
            let repository = try await repository()
            _ = try await repository.descriptor()
            keys = await repository.keyExpiries(plan: plan)
            last = try await repository.lastCommitted(plan: plan.name)
            isReachable = [.ok, .partial].contains(lastRun(.backup)?.outcome)
            warnings.append("what the repository holds is for another host to look at: this one may only put")
            if lastGood == nil { problems.append("no complete bundle was made here yet") }
        } catch {
            problems.insert(Failure.wrapping(error).summary, at: 0)
        }
    }

    /// As many runs are looked through.
    private static let reach = 50

    /// What this host remembers.
    mutating func take(_ history: any RunHistory, isRunning: Bool) throws {
        lastRuns = try RunRecord.Kind.allCases.compactMap { kind in
            try history.runs(kind, newest: Self.reach).last { $0.isWhole || kind != .backup }
                .map(Status.LastRun.init)
        }
        drills = try history.runs(.drill, newest: Self.reach)
        // The next run will record its death; until then nobody else tells of it.
        if !isRunning, var dead = try history.begun(), dead.isWhole {
            dead.outcome = .died
            if dead.kind == .drill { drills.append(dead) }
            lastRuns.removeAll { $0.kind == dead.kind }
            lastRuns.append(Status.LastRun(dead))
        }
        pendingRecords = try history.pending().count
        let backups = try history.runs(.backup, newest: Self.reach).filter(\.isWhole)
        lastGood = backups.last { $0.outcome == .ok && $0.bundle != nil }?.bundle
        for index in sources.indices {
            let name = sources[index].name
            let good = backups.last { run in
                run.bundle != nil && run.sources.contains { $0.name == name && $0.failure == nil }
            }
            sources[index].lastGood = good?.bundle
            sources[index].failure = backups.last?.sources.first { $0.name == name }?.failure
        }
    }

    /// What the drills that are known come to.
    fileprivate mutating func takeDrills() {
        drills.sort { ($0.started, $0.id) < ($1.started, $1.id) }
        if let passed = drills.last(where: { $0.outcome == .ok })?.finished {
            lastDrill = max(lastDrill ?? passed, passed)
        }
        lastRuns.removeAll { $0.kind == .drill }
        if let drill = RunRecord.standing(of: drills) { lastRuns.append(Status.LastRun(drill)) }
    }

    /// What the repository shows, which counts for more than memory.
    mutating func take(_ holdings: Holdings, _ plan: Plan) {
        isReachable = true
        repository = holdings.location
        freeBytes = holdings.freeBytes
        keys = holdings.keys
        lastProofs = holdings.lastProofs
        // Drills are held where the key is, seldom on this host.
        let known = Set(drills.map(\.id))
        drills += holdings.drills.filter { !known.contains($0.id) }
        if let drilled = lastProofs.first(where: { $0.level == .drill })?.at {
            lastDrill = max(lastDrill ?? drilled, drilled)
        }
        let summaries = holdings.summaries
        // Withholding the newest bundles leaves a repository that looks whole; only memory misses them.
        if let last = holdings.lastCommitted, !summaries.contains(where: { $0.id == last }) {
            problems.append("\(last), the last bundle this host committed, is gone from the repository")
        }
        for summary in summaries {
            if case .failure(let failure) = summary.manifest { problems.append("\(summary.id): \(failure.summary)") }
        }
        let manifests = holdings.manifests
        let complete = manifests.filter { $0.state == .complete }
        bundles = summaries.count
        storedBytes = manifests.reduce(0) { $0 + $1.storedBytes }
        last = summaries.last?.id
        lastGood = complete.last?.id
        size = SizeHistory.bundle(complete)
        if let good = lastGood {
            proof = holdings.standings[good]
            if let found = proof?.problems {
                problems.append(
                    "a validation of \(good) at level \(found.level.rawValue) found problems, at \(found.at)")
            }
        } else {
            problems.append("no complete bundle yet")
        }
        problems += holdings.problems
        let newest = manifests.last
        for index in sources.indices {
            let found = SizeHistory.source(sources[index].name, manifests)
            sources[index].lastGood = found?.bundle
            sources[index].size = found?.size
            sources[index].proof = found.flatMap { holdings.standings[$0.bundle] }
            let code = newest?.sources.first { $0.name == sources[index].name && $0.state == .failed }
                .map { $0.failure ?? Failure.Code.sourceFailed.text }
            // The host's own record has the words.
            if let code, sources[index].failure == nil {
                sources[index].failure = RecordedFailure(code: code, message: "it is not in \(newest?.id.text ?? "")")
            }
        }
        if let newest, newest.state == .partial {
            let failed = newest.sources.filter { $0.state == .failed }.map(\.name)
            problems.append("the newest bundle is partial, without \(failed.joined(separator: ", "))")
        }
    }
}
