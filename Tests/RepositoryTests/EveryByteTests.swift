// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import LocalState
import Repository
import Stores
import TestSupport
import Testing

/// A repository one object of which reads otherwise: nothing is written, so that many can be looked at at the same time.
private struct AlteredStore: Store {
    let base: any Store
    let key: String
    let bytes: [UInt8]

    var location: String { base.location }

    func get(_ key: String, range: Range<UInt64>?) async throws -> [UInt8] {
        guard key == self.key else { return try await base.get(key, range: range) }
        guard let range else { return bytes }
        guard range.upperBound <= UInt64(bytes.count) else { throw Failure(.integrity, "'\(key)' is too short") }
        return Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
    }

    func size(of key: String) async throws -> UInt64? {
        key == self.key ? UInt64(bytes.count) : try await base.size(of: key)
    }

    func list(_ prefix: String, _ page: @Sendable ([StoredObject]) async throws -> Void) async throws {
        try await base.list(prefix) { objects in
            try await page(
                objects.map { $0.key == key ? StoredObject(key: key, size: UInt64(bytes.count)) : $0 })
        }
    }

    func folders(under prefix: String) async throws -> [String] { try await base.folders(under: prefix) }

    func put(_ key: String, _ body: [UInt8], sha256: SHA256Digest, condition: PutCondition) async throws {
        throw Failure(.storageDenied, "only read")
    }

    func delete(_ key: String) async throws { throw Failure(.storageDenied, "only read") }
}

@Suite("Damage, byte for byte")
struct EveryByteTests {
    private struct Damage: Sendable {
        var what: String
        var key: String
        var bytes: [UInt8]
    }

    private func bundle() async throws -> (test: TestRepository, id: BundleID) {
        let test = try await TestRepository.make()
        _ = try await test.backUp(["dump": DumpText.rows(30)], at: 0)
        return (test, try await test.backUp(["dump": DumpText.rows(30, changed: [3])], at: 100).id)
    }

    /// Every damage must be reported by a validation of the checksum level; four at a time.
    private func expectAllReported(_ damages: [Damage], _ test: TestRepository, _ id: BundleID) async throws {
        let unnoticed = try await withThrowingTaskGroup(of: String?.self) { group in
            var (next, found) = (0, [String]())
            func start() {
                guard next < damages.count else { return }
                let damage = damages[next]
                next += 1
                group.addTask {
                    let store = AlteredStore(base: test.store, key: damage.key, bytes: damage.bytes)
                    let repository = TestRepository.reader(store, StateDirectory(test.directory("state")), test.pair)
                    let report = try await repository.validate(id, level: .checksum, progress: NoProgress())
                    return report.isProven ? damage.what : nil
                }
            }
            for _ in 0..<4 { start() }
            for try await what in group {
                if let what { found.append(what) }
                start()
            }
            return found
        }
        #expect(unnoticed == [])
        // The measure itself: what is not damaged is proven.
        #expect(try await test.repository.validate(id, level: .checksum, progress: NoProgress()).isProven)
    }

    @Test("every object cut to every length from 3 to 96 is reported")
    func cuts() async throws {
        let (test, id) = try await bundle()
        let objects = try await test.store.list(id.folder + "/")
        #expect(objects.count >= 5)
        var damages: [Damage] = []
        for object in objects {
            let whole = try await test.store.get(object.key)
            for length in 3...96 where length < whole.count {
                damages.append(
                    Damage(what: "\(object.key) cut to \(length)", key: object.key, bytes: Array(whole.prefix(length))))
            }
        }
        #expect(damages.count > 400)
        try await expectAllReported(damages, test, id)
    }

    @Test("a flip of a bit in every byte of the manifest is reported")
    func manifest() async throws {
        let (test, id) = try await bundle()
        let key = "\(id.folder)/manifest.json"
        let whole = try await test.store.get(key)
        let damages = whole.indices.map { index in
            var bytes = whole
            bytes[index] ^= 1 << UInt8(index % 8)
            return Damage(what: "byte \(index) of \(whole.count)", key: key, bytes: bytes)
        }
        try await expectAllReported(damages, test, id)
    }
}
