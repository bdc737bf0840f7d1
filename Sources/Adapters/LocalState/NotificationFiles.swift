// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
public import Notifications

/// A host's notes of notifications: `notifications/<plan>/book.json`, and a file for each message that waits under
/// `notifications/<plan>/outgoing/`.
public struct NotificationFiles: NotificationMemory {
    private let root: StateDirectory

    public init(_ root: StateDirectory) {
        self.root = root
    }

    private static let bookName = "book.json"
    /// Nobody holds the book for longer than it takes to write a few files.
    private static let bookPatience = 10.0

    /// A damaged book counts as none: what is wrong is then told once more.
    public func update(plan: String, _ body: @Sendable (inout TroubleBook) -> [Outgoing]) async throws {
        let lock = try await self.lock(plan, "notify", patience: Self.bookPatience)
        var book = try load(plan)
        let before = book
        for outgoing in body(&book) { try keep(outgoing) }
        // Messages first: killed in between, the same is told twice, which is better than never.
        if book != before { try folder(plan).write(Self.bookName, try Self.bytes(book)) }
        withExtendedLifetime(lock) {}
    }

    public func outgoing(plan: String) throws -> [Outgoing] {
        let folder = waiting(plan)
        return try folder.names().filter { $0.hasSuffix(".json") }.compactMap { name in
            guard let bytes = try folder.read(name) else { return nil }
            // One damaged note must not keep the others from being delivered.
            return try? JSONDecoder().decode(Outgoing.self, from: Data(bytes))
        }
    }

    public func keep(_ outgoing: Outgoing) throws {
        try waiting(outgoing.message.plan).write("\(outgoing.id).json", try Self.bytes(outgoing))
    }

    public func remove(_ outgoing: Outgoing) throws {
        try waiting(outgoing.message.plan).remove("\(outgoing.id).json")
    }

    public func sending<Result: Sendable>(
        plan: String, patience: Double, _ body: @Sendable () async throws -> Result
    ) async throws -> Result {
        let lock = try await self.lock(plan, "notify-send", patience: patience)
        let result = try await body()
        withExtendedLifetime(lock) {}
        return result
    }

    /// What is open of a plan.
    public func book(plan: String) throws -> TroubleBook { try load(plan) }

    private func load(_ plan: String) throws -> TroubleBook {
        guard let bytes = try folder(plan).read(Self.bookName) else { return TroubleBook() }
        return (try? JSONDecoder().decode(TroubleBook.self, from: Data(bytes))) ?? TroubleBook()  // as `update` says
    }

    private func folder(_ plan: String) -> StateDirectory { root.below("notifications").below(plan) }

    private func waiting(_ plan: String) -> StateDirectory { folder(plan).below("outgoing") }

    /// The kernel's locks have no queue with a time limit, so this asks again and again.
    private func lock(_ plan: String, _ purpose: String, patience: Double) async throws -> PlanLock {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(patience)
        while true {
            do {
                return try PlanLock(root, plan: plan, purpose: purpose)
            } catch let failure as Failure where failure.code == .locked && clock.now < end {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private static func bytes(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value))
        } catch {
            throw Failure.wrapping(error, as: .internalError, "the note of a message")
        }
    }
}
