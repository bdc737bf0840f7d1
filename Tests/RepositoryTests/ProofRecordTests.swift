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

/// A clock that stands still.
private struct StoppedClock: WallClock {
    var moment: Timestamp
    func now() -> Timestamp { moment }
}

@Suite("Records of proofs")
struct ProofRecordTests {
    /// An hour after the first bundle of a test.
    private static let now = Timestamp(seconds: 1_790_003_600)

    private func prove(
        _ test: TestRepository, _ id: BundleID, _ level: ProofLevel = .checksum, at moment: Timestamp = now,
        with repository: FormatRepository? = nil, plan: Plan? = nil
    ) async throws -> ValidationReport {
        try await Proving(
            repository: repository ?? test.repository, clock: StoppedClock(moment: moment), progress: NoProgress()
        ).run(
            id,
            Proving.Request(
                plan: plan ?? test.plan, level: level, records: true, host: "verifier", tool: "salvor test"))
    }

    private func standing(
        _ test: TestRepository, _ id: BundleID, at moment: Timestamp = now
    ) async throws -> (standing: ProofStanding, unbelieved: [UnbelievedProof]) {
        try await test.repository.standing(of: try await test.repository.manifest(id), at: moment)
    }

    /// The only record of a bundle: its key and its text.
    private func record(_ test: TestRepository, _ id: BundleID) async throws -> (key: String, text: [UInt8]) {
        let keys = try await test.store.list("\(id.folder)/proofs/").map(\.key).filter { $0.hasSuffix(".json") }
        let key = try #require(keys.count == 1 ? keys[0] : nil)
        return (key, try await test.store.get(key))
    }

    @Test("a validation leaves a signed record beside the bundle, which changes nothing of the bundle")
    func recorded() async throws {
        let test = try await TestRepository.make()
        let id = try await test.backUp(["dump": DumpText.rows(30)], at: 0).id
        let before = try test.files(id).map { ($0, FileManager.default.contents(atPath: $0)) }
        let report = try await prove(test, id, .contents)
        let made = try #require(report.recorded)
        #expect(report.isProven && report.notRecorded == nil && report.unbelieved.isEmpty)
        #expect(made.host == "verifier" && made.signer == test.pair.signer && made.objects == report.objects)
        for (file, bytes) in before { #expect(FileManager.default.contents(atPath: file) == bytes) }
        #expect(try test.files(id).count == before.count + 2)

        let (found, unbelieved) = try await standing(test, id)
        #expect(found.proven?.level == .contents && found.proven?.at == Self.now && found.isVerified)
        #expect(unbelieved.isEmpty)
        let claim = try #require(found.proven)
        let read = try await test.repository.proof(claim, of: test.repository.manifest(id), at: Self.now)
        #expect(read == made)
        // A listing shows it without reading it, and everything else goes on as before.
        let summary = try #require(try await test.repository.summaries(plan: "nightly").first)
        #expect(summary.claims == [claim])
        #expect(try await test.repository.bundles(plan: nil) == [id])
        for level in ProofLevel.allCases {
            #expect(try await test.repository.validate(id, level: level, progress: NoProgress()).isProven)
        }
        #expect(try await test.read(id, "dump") == DumpText.rows(30))
        let next = try await test.backUp(["dump": DumpText.rows(30, changed: [1])], at: 100).id
        #expect(try await prove(test, next, .presence).isProven)
    }

    @Test("the proof at birth is recorded, and one that is only decoded is not")
    func atBirth() async throws {
        let test = try await TestRepository.make(proof: .contents)
        let notes = NoteKeeper()
        let id = try await test.backUp(["dump": DumpText.rows(30)], at: 0, notes: notes).id
        let (found, unbelieved) = try await standing(test, id)
        #expect(found.proven?.level == .contents && unbelieved.isEmpty && notes.notes.isEmpty, "\(notes.notes)")
        let text = String(decoding: try await record(test, id).text, as: UTF8.self)
        #expect(text.contains("\"command\" : \"backup\"") && text.contains("\"problems\" : 0"))
        let plain = try await TestRepository.make()
        let other = try await plain.backUp(["dump": DumpText.rows(30)], at: 0).id
        #expect(try await standing(plain, other).standing.proven == nil)
    }

    @Test("problems are recorded with their number, and stand until a later proof takes them back")
    func problems() async throws {
        let test = try await TestRepository.make()
        let id = try await test.backUp(["dump": DumpText.rows(3000)], at: 0).id
        _ = try await prove(test, id, .checksum)
        let segment = try #require(try test.files(id).first { $0.hasSuffix("000000.zst.gpg") })
        let original = try Data(contentsOf: URL(fileURLWithPath: segment))
        var damaged = original
        damaged[100] ^= 1
        try damaged.write(to: URL(fileURLWithPath: segment))
        let later = Timestamp(seconds: Self.now.seconds + 60)
        let report = try await prove(test, id, .checksum, at: later)
        #expect(report.recorded?.problems == 1)
        var found = try await standing(test, id, at: later).standing
        #expect(found.problems?.at == later && found.proven?.at == Self.now)
        try original.write(to: URL(fileURLWithPath: segment))
        let repaired = Timestamp(seconds: later.seconds + 60)
        _ = try await prove(test, id, .contents, at: repaired)
        found = try await standing(test, id, at: repaired).standing
        #expect(found.problems == nil && found.proven?.level == .contents)
    }

    @Test("a changed byte anywhere in a record or its signature makes it worthless")
    func tampered() async throws {
        let test = try await TestRepository.make()
        let id = try await test.backUp(["dump": DumpText.rows(30)], at: 0).id
        _ = try await prove(test, id)
        let key = try await record(test, id).key
        for name in [key, key + ".sig"] {
            let file = URL(fileURLWithPath: test.directory("repo/\(name)"))
            let original = try Data(contentsOf: file)
            for position in stride(from: 0, to: original.count, by: max(1, original.count / 20)) {
                var damaged = original
                damaged[position] ^= 1 << UInt8(position % 8)
                try damaged.write(to: file)
                let (found, unbelieved) = try await standing(test, id)
                #expect(found.proven == nil && unbelieved.count == 1, "\(name) byte \(position)")
            }
            try FileManager.default.removeItem(at: file)
            #expect(try await standing(test, id).standing.proven == nil)
            // Without its signature it is not even listed as claimed.
            #expect(try await test.repository.summaries(plan: nil).first?.claims.isEmpty == true)
            try original.write(to: file)
        }
        #expect(try await standing(test, id).standing.proven != nil)
    }

    @Test("a record is not believed of another bundle, under another name, or by a key that is not trusted")
    func replayed() async throws {
        let test = try await TestRepository.make()
        let id = try await test.backUp(["dump": DumpText.rows(30)], at: 0).id
        let other = try await test.backUp(["dump": DumpText.rows(30)], at: 100).id
        _ = try await prove(test, id, .presence)
        let (key, text) = try await record(test, id)
        let signature = try await test.store.get(key + ".sig")
        let name = try #require(key.split(separator: "/").last)
        func expectDoubted(_ key: String, _ bundle: BundleID, _ reason: String) async throws {
            let (found, _) = try await standing(test, bundle)
            #expect(found.proven?.level != .contents)
            if bundle == other { #expect(found.proven == nil) }
            let shown = try await test.repository.unbelievedProofs(of: bundle, at: Self.now)
            #expect(shown.count == 1 && shown.allSatisfy { $0.reason.contains(reason) }, "\(shown)")
            // Validation says so, and is none the worse itself.
            let report = try await Proving(
                repository: test.repository, clock: StoppedClock(moment: Self.now), progress: NoProgress()
            ).run(bundle, .init(plan: test.plan, level: .presence, records: false, host: "h", tool: "t"))
            #expect(report.isProven && report.unbelieved == shown)
            try await test.store.delete(key)
            try await test.store.delete(key + ".sig")
        }
        // Copied from another bundle.
        let copied = "\(other.folder)/proofs/\(name)"
        try await test.store.put(copied, text)
        try await test.store.put(copied + ".sig", signature)
        try await expectDoubted(copied, other, "another bundle")
        // Under a name that claims more.
        let better = "\(id.folder)/proofs/" + name.replacing("presence", with: "contents")
        try await test.store.put(better, text)
        try await test.store.put(better + ".sig", signature)
        try await expectDoubted(better, id, "does not say what was signed")
        // By a key of the keyring that is no signer of this repository.
        let forged = ProofRecord(
            repository: try await test.repository.descriptor().id, bundle: other,
            manifest: try await test.repository.manifest(other).sha256, level: .contents, at: Self.now,
            command: "validate-backup", host: "h", tool: "t", signer: test.pair.recipient, problems: 0, objects: 1,
            bytes: 1)
        let bytes = try JSONEncoder().encode(forged)
        let file = try test.directory.write("forged.json", String(decoding: bytes, as: UTF8.self))
        try await test.pair.keys.gpg(["--local-user", test.pair.recipient, "--detach-sign", file])
        let place = "\(other.folder)/proofs/\(ProofClaim(forged).name).json"
        try await test.store.put(place, Array(bytes))
        try await test.store.put(place + ".sig", Array(try Data(contentsOf: URL(fileURLWithPath: file + ".sig"))))
        try await expectDoubted(place, other, "does not trust")
    }

    @Test("a record from the future is not believed, whoever signed it, and does not hide the one before it")
    func future() async throws {
        let test = try await TestRepository.make()
        let id = try await test.backUp(["dump": DumpText.rows(30)], at: 0).id
        _ = try await prove(test, id, .checksum)
        _ = try await prove(test, id, .contents, at: Timestamp(seconds: Self.now.seconds + 86_400))
        let (found, unbelieved) = try await standing(test, id)
        #expect(found.proven?.level == .checksum)
        #expect(unbelieved.map(\.reason).allSatisfy { $0.contains("from the future") } && unbelieved.count == 1)
        let claims = try #require(try await test.repository.summaries(plan: nil).first?.claims)
        #expect(ProofStanding.claimed(claims, of: id, at: Self.now).proven?.level == .checksum)
    }

    @Test("without a trusted signing key, or where writing is refused, the proof stands unrecorded")
    func notRecorded() async throws {
        let test = try await TestRepository.make()
        let id = try await test.backUp(["dump": DumpText.rows(30)], at: 0).id
        func repository(_ store: any Store, _ keys: ThrowawayKeys) -> FormatRepository {
            FormatRepository(
                store: store, state: StateDirectory(test.directory("state")), gnupgHome: keys.home, concurrency: 2,
                probe: { _, now in ProbeResult(conditionalWrites: true, listAfterPut: true, at: now) })
        }
        var plan = test.plan
        plan.encryption.signer = nil
        let denied = try await prove(test, id, with: repository(ReadOnlyStore(test.store), test.pair.keys))
        #expect(denied.isProven && denied.recorded == nil && denied.notRecorded?.contains("reading only") == true)

        let stranger = try ThrowawayKeys()
        let publicKeys = try await test.pair.keys.publicKeyFile(test.pair.signer)
        try await stranger.gpg(["--import", publicKeys])
        let keyless = try await prove(test, id, with: repository(test.store, stranger), plan: plan)
        #expect(keyless.isProven && keyless.notRecorded?.contains("secret key") == true, "\(keyless)")

        let foreign = try await stranger.add("Stranger <s@example.com>", for: .signing)
        let untrusted = try await prove(test, id, with: repository(test.store, stranger), plan: plan)
        #expect(untrusted.isProven && untrusted.notRecorded?.contains(foreign) == true, "\(untrusted)")
        #expect(try await test.store.list("\(id.folder)/proofs/").isEmpty)
    }

    @Test("a bundle whose manifest does not count gets no record")
    func noManifest() async throws {
        let test = try await TestRepository.make()
        let id = try await test.backUp(["dump": DumpText.rows(30)], at: 0).id
        try await test.store.put("\(id.folder)/manifest.json.sig", [1, 2, 3])
        let report = try await prove(test, id)
        #expect(!report.isProven && report.recorded == nil && report.notRecorded != nil)
        #expect(try await test.store.list("\(id.folder)/proofs/").isEmpty)
    }
}
