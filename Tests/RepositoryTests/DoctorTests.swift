// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import LocalState
import Operations
import Repository
import Stores
import TestSupport
import Testing

/// What doctor says of the host's clock and of room, against a repository with bundles.
@Suite("Doctor: time and room")
struct DoctorTests {
    private struct StoppedClock: WallClock {
        var moment: Timestamp
        func now() -> Timestamp { moment }
    }

    private struct NoSecrets: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String {
            throw Failure(.secretUnavailable, "there are none")
        }
    }

    /// A store with a clock and room of its own.
    private struct TellingStore: Store {
        let base: any Store
        var clock: Timestamp?
        var bytesLeft: UInt64?

        var location: String { base.location }
        func time() async throws -> Timestamp? { clock }
        func room() async throws -> UInt64? { bytesLeft }
        func get(_ key: String, range: Range<UInt64>?) async throws -> [UInt8] {
            try await base.get(key, range: range)
        }
        func size(of key: String) async throws -> UInt64? { try await base.size(of: key) }
        func list(_ prefix: String, _ page: @Sendable ([StoredObject]) async throws -> Void) async throws {
            try await base.list(prefix, page)
        }
        func folders(under prefix: String) async throws -> [String] { try await base.folders(under: prefix) }
        func put(_ key: String, _ body: [UInt8], sha256: SHA256Digest, condition: PutCondition) async throws {
            try await base.put(key, body, sha256: sha256, condition: condition)
        }
        func delete(_ key: String) async throws { try await base.delete(key) }
    }

    /// Bundles of tests are made from here on.
    private static let epoch: Int64 = 1_790_000_000

    private func checks(
        _ test: TestRepository, at seconds: Int64, store: Timestamp? = nil, left: UInt64? = nil,
        folders: [Doctor.Folder] = []
    ) async throws -> [Check] {
        let clock = StoppedClock(moment: Timestamp(seconds: Self.epoch + seconds))
        let telling = TellingStore(base: test.store, clock: store, bytesLeft: left)
        let registry = AdapterRegistry([], secrets: NoSecrets(), clock: clock) { _ in preconditionFailure("no source") }
        let repository = TestRepository.reader(telling, StateDirectory(test.directory("state")), test.pair)
        let sections = await Doctor(registry: registry, clock: clock, folders: folders).run(test.plan, repository)
        return try #require(sections.first).checks
    }

    private func clock(_ checks: [Check]) throws -> Check {
        try #require(checks.last { $0.name == "clock" }, "\(checks)")
    }

    @Test("a clock before the newest bundle, or apart from the store's, is a warning with a remedy")
    func clocks() async throws {
        let test = try await TestRepository.make()
        _ = try await test.backUp(["dump": DumpText.rows(30)], at: 0)
        let newest = try await test.backUp(["dump": DumpText.rows(30)], at: 1000).id
        var check = try clock(try await checks(test, at: 1001))
        #expect(check.state == .ok, "\(check)")
        check = try clock(try await checks(test, at: 999))
        #expect(check.state == .warning && check.detail.contains(newest.text), "\(check)")
        #expect(check.remedy?.contains("clock") == true)
        for (offset, words) in [(400, "400 s behind the store's"), (-400, "400 s ahead of the store's")]
            as [(Int64, String)]
        {
            check = try clock(
                try await checks(test, at: 5000, store: Timestamp(seconds: Self.epoch + 5000 + offset)))
            #expect(check.state == .warning && check.detail.contains(words), "\(check)")
            #expect(check.remedy != nil)
        }
        check = try clock(try await checks(test, at: 5000, store: Timestamp(seconds: Self.epoch + 5060)))
        #expect(check.state == .ok && check.detail.contains("store"), "\(check)")
    }

    @Test("room for less than the last full is a warning that names the place, both numbers and what to do")
    func room() async throws {
        let test = try await TestRepository.make()
        let manifest = try await test.backUp(["dump": DumpText.rows(3000)], at: 0)
        // A delta is no measure.
        _ = try await test.backUp(["dump": DumpText.rows(3000, changed: [3])], at: 100)
        let full = manifest.sources[0].streams[0].storedBytes
        func folder(_ room: UInt64?) -> Doctor.Folder {
            Doctor.Folder(name: "state directory", path: "/state", room: room, remedy: "Make room.")
        }
        for (left, isEnough) in [(full, true), (full - 1, false)] {
            let found = try await checks(test, at: 5000, left: left, folders: [folder(left)])
            for (name, place) in [("room: repository", test.store.location), ("room: state directory", "/state")] {
                let check = try #require(found.first { $0.name == name }, "\(found)")
                #expect(check.state == (isEnough ? .ok : .warning), "\(check)")
                #expect(check.detail.contains("\(left) bytes free in '\(place)'") && check.detail.contains("\(full)"))
                #expect((check.remedy == nil) == isEnough)
            }
        }
        let unknown = try await checks(test, at: 5000, folders: [folder(nil)])
        #expect(unknown.first { $0.name == "room: state directory" }?.state == .warning)
        #expect(!unknown.contains { $0.name == "room: repository" }, "a store that does not tell is not guessed at")
    }

    @Test("a directory repository tells its disk's room, and nobody's clock but this host's")
    func directory() async throws {
        let test = try await TestRepository.make()
        #expect(try await test.store.room() ?? 0 > 0)
        #expect(try await test.store.time() == nil)
        // Others write to the same disk meanwhile.
        let (below, here) = (
            DiskRoom.free(test.directory("not/there/yet")) ?? 0, DiskRoom.free(test.directory.path) ?? 0
        )
        #expect(here > 0 && below > here / 2 && here > below / 2)
    }
}
