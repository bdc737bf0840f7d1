// SPDX-License-Identifier: Apache-2.0

/// Programs that run before and after a plan's backup, and when it failed (the plan's `hooks`).
public struct Hooks: Sendable, Equatable {
    /// In order, before anything is captured.
    public var before: [Hook]
    /// In order, once any of `before` was started, however the run ended.
    public var after: [Hook]
    /// In order, when the run gave no whole bundle.
    public var failure: [Hook]

    public init(before: [Hook] = [], after: [Hook] = [], failure: [Hook] = []) {
        self.before = before
        self.after = after
        self.failure = failure
    }

    public var isEmpty: Bool { before.isEmpty && after.isEmpty && failure.isEmpty }
}

/// One program to run beside a backup.
public struct Hook: Sendable, Equatable {
    /// The program and its arguments; no shell is between.
    public var run: [String]
    public var onFailure: OnFailure
    /// Seconds until it is ended, with what it started.
    public var timeLimit: Int

    /// What its failure means.
    public enum OnFailure: String, Sendable, CaseIterable {
        /// Before: the backup is refused. After or on failure: the rest of the list is left out, and the command fails.
        case stop
        /// It is told, and that is all.
        case `continue`
    }

    /// Five minutes.
    public static let standardTimeLimit = 300

    public init(run: [String], onFailure: OnFailure, timeLimit: Int = standardTimeLimit) {
        self.run = run
        self.onFailure = onFailure
        self.timeLimit = timeLimit
    }
}
