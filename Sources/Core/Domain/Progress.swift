// SPDX-License-Identifier: Apache-2.0

/// What long work tells while it goes on.
public enum ProgressEvent: Sendable {
    /// A phase of the run begins: `capture`, `upload`, `verify`.
    case phase(String)
    /// A source begins, with an estimate of its bytes where known.
    case sourceStarted(String, estimatedBytes: UInt64?)
    /// Raw bytes taken from (or given to) a source since the last event.
    case bytes(source: String, raw: UInt64, stored: UInt64)
    case sourceFinished(String)
    case sourceFailed(String, Failure)
    /// A sentence for people.
    case note(String)
}

/// Where progress goes. Called from many threads; must not block long.
public protocol ProgressListener: Sendable {
    /// Takes one event.
    func report(_ event: ProgressEvent)
}

/// Progress nobody looks at.
public struct NoProgress: ProgressListener {
    public init() {}

    public func report(_ event: ProgressEvent) {}
}
