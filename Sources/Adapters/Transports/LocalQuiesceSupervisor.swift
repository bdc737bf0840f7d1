// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Programs

/// Resumes what a plan paused on this host: a note tells what, and a watchdog outlives a salvor that is killed.
public struct LocalQuiesceSupervisor: QuiesceSupervisor {
    /// The id of the note: one pause at a time.
    public static let noteID = "quiesce"

    private let notes: any FreezeNotes
    private let notePath: String
    private let clock: any WallClock

    /// Attempts of one watchdog, two seconds apart.
    private static let attempts = 5

    /// - Parameter notePath: the file of the note `noteID` among `notes`.
    public init(notes: any FreezeNotes, notePath: String, clock: any WallClock) {
        self.notes = notes
        self.notePath = notePath
        self.clock = clock
    }

    /// What a note needs to tell.
    private struct Memory: Codable {
        var resume: [String]
        var timeLimit: Int
        var environment: [String: String]
    }

    public func begin(_ quiesce: Quiesce, environment: [String: String]) async throws -> any PausedApplication {
        let memory = Memory(resume: quiesce.resume, timeLimit: quiesce.timeLimit, environment: environment)
        try await notes.add(
            FreezeNote(
                id: Self.noteID, what: "the application that '\(quiesce.pause.first ?? "")' paused",
                data: try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(memory)), noted: clock.now()))
        do {
            return Paused(watchdog: try watchdog(memory), resume: memory.resume, notes: notes)
        } catch {
            try await notes.erase(Self.noteID)
            throw error
        }
    }

    public func resumeLeftOver() async throws -> String? {
        guard let note = try await notes.all().first(where: { $0.id == Self.noteID }) else { return nil }
        let memory: Memory
        do {
            memory = try JSONDecoder().decode(Memory.self, from: JSONEncoder().encode(note.data))
        } catch {
            throw Failure(
                .stateDamaged, "the note '\(notePath)' does not tell how to resume \(note.what)",
                hint: "Resume the application by hand, then remove that file.")
        }
        let paused = Paused(watchdog: try watchdog(memory), resume: memory.resume, notes: notes)
        try await paused.resume()
        return "\(note.what) at \(note.noted)"
    }

    private func watchdog(_ memory: Memory) throws -> Watchdog {
        do {
            return try Watchdog.start(
                memory.resume, environment: memory.environment, removing: notePath, limitSeconds: memory.timeLimit,
                attempts: Self.attempts)
        } catch let error as Watchdog.NotStarted {
            throw Failure(.programMissing, "unable to start the watchdog that resumes the application: \(error.reason)")
        }
    }

    private struct Paused: PausedApplication {
        let watchdog: Watchdog
        let resume: [String]
        let notes: any FreezeNotes

        func resume() async throws {
            let program = resume.first ?? ""
            guard try await watchdog.run() else {
                throw Failure(
                    .programFailed,
                    "the application could not be resumed: '\(program)' failed \(LocalQuiesceSupervisor.attempts) times",
                    hint: "Resume it by hand; the next run, or 'salvor doctor', tries again.")
            }
            // The watchdog has removed it; this forgets it for good.
            try await notes.erase(LocalQuiesceSupervisor.noteID)
        }
    }
}
