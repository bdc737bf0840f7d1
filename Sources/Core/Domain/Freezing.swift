// SPDX-License-Identifier: Apache-2.0

/// An adapter whose copy can be fixed at one moment and read later, so that several sources share a moment
/// (`consistency: together`).
///
/// Its `capture` is `freeze`, `capture` of what was frozen, and `release`, unless it has a way of its own.
public protocol FreezingAdapter: SourceAdapter {
    /// Fixes one consistent state; nothing large is read yet. What stays behind on the server when this process dies is
    /// noted in the environment's `freezeNotes` before it is made.
    func freeze() async throws -> any FrozenSource

    /// Seconds that pass between the request and the moment the state is fixed, as far as the system tells: the other
    /// sources of a group wait as long, so that the moments come closer. Asked before each `freeze`; only reads.
    func freezeLead() async -> Double
}

extension FreezingAdapter {
    public func freezeLead() async -> Double { 0 }
}

extension FreezingAdapter {
    /// Freezes, streams and releases, the last in any case and out of reach of the task's cancellation.
    ///
    /// - Throws: the first failure, with the release's behind it if that failed, too.
    public func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let frozen = try await freeze()
        let result: Result<CaptureReport, any Error>
        do { result = .success(try await frozen.capture(into: sink)) } catch { result = .failure(error) }
        let left = await Task { () -> (any Error)? in
            do { try await frozen.release() } catch { return error }
            return nil
        }.value
        guard let left else { return try result.get() }
        let second = Failure.wrapping(left, as: .sourceFailed)
        do { _ = try result.get() } catch {
            let first = Failure.wrapping(error, as: .sourceFailed)
            throw Failure(first.code, "\(first.summary); and then: \(second.summary)", hint: second.hint ?? first.hint)
        }
        throw second
    }
}

/// The state of one source, fixed until it is released.
public protocol FrozenSource: Sendable {
    /// Between which moments of this host's clock the state was fixed: before the request and after the answer.
    var frozen: (from: Timestamp, to: Timestamp) { get }
    /// The system's own position of the copy (LSN, replication offset, tag); nil where it has none.
    var position: String? { get }

    /// Streams what was frozen.
    func capture(into sink: any CaptureSink) async throws -> CaptureReport

    /// Removes what was made on the server and the notes of it. Called once, whether or not `capture` was, also when
    /// the run is cancelled.
    func release() async throws
}

/// Something that was made or stopped beside a source and must be removed or resumed, also by a later run when this
/// one dies.
public struct FreezeNote: Sendable, Codable, Equatable {
    /// Safe in file names, unique for the source.
    public var id: String
    /// For people: `snapshot salvor-k3f9 of collection 'items'`.
    public var what: String
    /// What its adapter needs to remove it.
    public var data: JSONValue
    public var noted: Timestamp

    public init(id: String, what: String, data: JSONValue, noted: Timestamp) {
        self.id = id
        self.what = what
        self.data = data
        self.noted = noted
    }
}

/// The notes of one source, kept durably on this host. An adapter releases what an earlier run noted and left before it
/// freezes anew.
public protocol FreezeNotes: Sendable {
    /// What was noted and not erased, oldest first.
    func all() async throws -> [FreezeNote]
    /// Notes what is about to be made; durable when it returns. Replaces a note of the same id.
    func add(_ note: FreezeNote) async throws
    /// Erases the note of something that is released; succeeds when there is none.
    func erase(_ id: String) async throws
}

/// Notes that do not outlive the process.
public actor MemoryFreezeNotes: FreezeNotes {
    private var notes: [FreezeNote] = []

    public init() {}

    public func all() -> [FreezeNote] { notes }

    public func add(_ note: FreezeNote) {
        erase(note.id)
        notes.append(note)
    }

    public func erase(_ id: String) { notes.removeAll { $0.id == id } }
}
