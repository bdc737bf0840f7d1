// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Foundation
import Glibc
import Synchronization

/// Reads directories before a walk comes to them, on threads of its own: the walk of an unchanged tree is nothing but
/// system calls, most of which other cores can make meanwhile.
///
/// The walk says which directories it will enter, level by level (`enter`), takes each when it is there (`take`), and says
/// when it has left a level (`leave`). Helpers begin at the deepest level, in the walk's order.
public final class ScanAhead: Sendable {
    /// A directory that the walk will enter. Its parent and its name must stay as they are until the level is left.
    ///
    /// `@unchecked` because what changes is touched only under the lock of `state`, and the name by who reads it.
    public final class Entry: @unchecked Sendable {
        fileprivate enum Stage { case waiting, underway, done, taken }
        fileprivate let name: UnsafePointer<CChar>
        fileprivate let parent: Int32
        fileprivate var stage = Stage.waiting
        fileprivate var scanned: ScannedDirectory?
        /// Signalled when it is done, for the walk that came too early.
        fileprivate var waiter: DispatchSemaphore?

        public init(_ name: UnsafePointer<CChar>, in parent: Int32) {
            self.name = name
            self.parent = parent
        }
    }

    private enum Step {
        /// It is the walk's; nil when it must read it itself.
        case taken(ScannedDirectory?, woken: Int)
        case help(Entry, ScannedDirectory)
        case wait(DispatchSemaphore)
    }

    /// What is between the walk and the helpers.
    private struct State {
        struct Level {
            var entries: [Entry]
            var next = 0
            /// Begun and not taken.
            var ahead = 0
        }

        var levels: [Level] = []
        var idle = 0
        var isStopped = false
        var spare: [ScannedDirectory] = []

        /// Takes up to `count` helpers for awake, whom the caller signals.
        mutating func wake(_ count: Int) -> Int {
            let woken = min(idle, count)
            idle -= woken
            return woken
        }

        /// What a helper does next; nil sends it to sleep.
        mutating func beginOrSleep() -> (entry: Entry, directory: ScannedDirectory)? {
            let next = begin()
            if next == nil { idle += 1 }
            return next
        }

        /// What can be read next.
        private mutating func begin() -> (entry: Entry, directory: ScannedDirectory)? {
            for level in levels.indices.suffix(ScanAhead.levels).reversed()
            where levels[level].ahead < ScanAhead.limit {
                while levels[level].next < levels[level].entries.count {
                    let entry = levels[level].entries[levels[level].next]
                    levels[level].next += 1
                    guard entry.stage == .waiting else { continue }
                    entry.stage = .underway
                    levels[level].ahead += 1
                    return (entry, blank())
                }
            }
            return nil
        }

        /// What the walk does to get `entry`.
        mutating func step(_ entry: Entry) -> Step {
            switch entry.stage {
            case .underway:
                if let next = begin() { return .help(next.entry, next.directory) }
                let early = DispatchSemaphore(value: 0)
                entry.waiter = early
                return .wait(early)
            case .waiting, .taken:
                entry.stage = .taken
                return .taken(nil, woken: 0)
            case .done:
                entry.stage = .taken
                defer { entry.scanned = nil }
                guard let last = levels.indices.last else { return .taken(entry.scanned, woken: 0) }
                levels[last].ahead -= 1
                // Not for every single one: waking somebody costs more than reading a directory.
                return .taken(entry.scanned, woken: levels[last].ahead <= ScanAhead.limit / 2 ? wake(1) : 0)
            }
        }

        mutating func blank() -> ScannedDirectory { spare.popLast() ?? ScannedDirectory() }
    }

    /// So many directories of a level, and so many levels, are open ahead of the walk.
    private static let limit = 16
    private static let levels = 4
    private let helpers: Int
    private let state = Mutex(State())
    private let work = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter helpers: threads that read ahead; with none, everything is read when it is taken.
    public init(helpers: Int) {
        self.helpers = helpers
        for _ in 0..<helpers { Thread { [self] in help() }.start() }
    }

    /// The helpers that pay here: what is left of the cores.
    public static var usualHelpers: Int { min(3, ProcessInfo.processInfo.activeProcessorCount - 1) }

    /// The walk is in a directory and will enter `entries`, in this order.
    public func enter(_ entries: [Entry]) {
        let woken = state.withLock { state in
            state.levels.append(State.Level(entries: entries))
            return state.wake(entries.count)
        }
        for _ in 0..<woken { work.signal() }
    }

    /// The directory, read; reads it now when nobody has.
    public func take(_ entry: Entry) -> ScannedDirectory {
        if let directory = collect(entry) {
            // Too many open files may be only those that were opened ahead.
            guard [EMFILE, ENFILE, ENOMEM].contains(directory.error) else { return directory }
            directory.scan(entry.name, in: entry.parent)
            return directory
        }
        let own = state.withLock { $0.blank() }
        own.scan(entry.name, in: entry.parent)
        return own
    }

    /// Gives a directory back that the walk has left.
    public func giveBack(_ directory: ScannedDirectory) {
        directory.close()
        state.withLock { if $0.spare.count < Self.limit { $0.spare.append(directory) } }
    }

    /// The walk has left the deepest level. What was read there in vain is closed.
    public func leave() {
        let left = state.withLock { state in
            let entries = state.levels.popLast()?.entries ?? []
            // From now on nobody begins with these.
            for entry in entries where entry.stage == .waiting { entry.stage = .taken }
            return entries.filter { $0.stage != .taken }
        }
        for entry in left {
            if let directory = collect(entry) { giveBack(directory) }
        }
    }

    /// Ends the helpers. The walk must have left every level.
    public func stop() {
        let idle = state.withLock { state in
            state.isStopped = true
            return state.wake(.max)
        }
        for _ in 0..<idle { work.signal() }
        for _ in 0..<helpers { ended.wait() }
    }

    /// What a helper has read or is reading; nil when none is.
    private func collect(_ entry: Entry) -> ScannedDirectory? {
        while true {
            let step = state.withLock { $0.step(entry) }
            switch step {
            case .taken(let directory, let woken):
                // Whoever counts as awake must be told, or sleeps for ever.
                for _ in 0..<woken { work.signal() }
                return directory
            case .help(let other, let directory):
                // Instead of standing by while a helper reads what is wanted: what comes next.
                directory.scan(other.name, in: other.parent)
                finish(other, directory)
            case .wait(let early): early.wait()
            }
        }
    }

    private func finish(_ entry: Entry, _ directory: ScannedDirectory) {
        let waiter = state.withLock { _ in
            entry.scanned = directory
            entry.stage = .done
            defer { entry.waiter = nil }
            return entry.waiter
        }
        waiter?.signal()
    }

    private func help() {
        defer { ended.signal() }
        while true {
            let (next, isStopped) = state.withLock { $0.isStopped ? (nil, true) : ($0.beginOrSleep(), false) }
            if isStopped { return }
            guard let next else {
                work.wait()
                continue
            }
            next.directory.scan(next.entry.name, in: next.entry.parent)
            finish(next.entry, next.directory)
        }
    }
}
