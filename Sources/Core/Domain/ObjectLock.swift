// SPDX-License-Identifier: Apache-2.0

/// What keeps an object from being deleted, as the store tells.
public struct ObjectRetention: Sendable, Equatable, Codable {
    /// Before this moment no version of the object may be deleted; nil: no date is set.
    public var until: Timestamp?
    /// Whether somebody put a legal hold on it, which has no end of its own.
    public var isHeld: Bool

    private enum CodingKeys: String, CodingKey {
        case until
        case isHeld = "held"
    }

    public init(until: Timestamp?, isHeld: Bool = false) {
        self.until = until
        self.isHeld = isHeld
    }

    /// Whether deleting it now would remove nothing.
    public func isLocked(at now: Timestamp) -> Bool { isHeld || until.map { $0 > now } ?? false }

    /// For people: `retained until 2026-12-24T02:00:03Z`.
    public var text: String {
        switch (until, isHeld) {
        case (let until?, false): "retained until \(until)"
        case (let until?, true): "retained until \(until), and by a legal hold"
        case (nil, true): "retained by a legal hold"
        case (nil, false): "not locked"
        }
    }
}

/// Whether a bucket locks objects.
public enum BucketLock: Sendable, Equatable {
    /// Object lock is switched off: objects go when somebody may delete them.
    case off
    /// Object lock is switched on. With a default rule every new object gets that mode and so many days.
    case on(mode: String?, days: Int?)
    /// The store does not tell, and why.
    case unknown(String)
}

/// What was removed of a bundle, or of a folder.
public struct StoreRemoval: Sendable {
    /// Objects that are still there.
    public var left: Int
    /// Why the first of them is.
    public var failure: Failure?
    /// What keeps it, as far as the store tells.
    public var lock: ObjectRetention?

    public init(left: Int, failure: Failure?, lock: ObjectRetention? = nil) {
        self.left = left
        self.failure = failure
        self.lock = lock
    }
}
