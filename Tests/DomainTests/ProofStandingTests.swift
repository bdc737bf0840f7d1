// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Testing

@Suite("How far a bundle is proven")
struct ProofStandingTests {
    private let bundle = BundleID(plan: "nightly", started: Timestamp(seconds: 1_790_000_000), suffix: "k3f9qz")

    private func claim(_ level: ProofLevel, _ hour: Int64, problems: Int = 0) -> ProofClaim {
        ProofClaim(
            ProofRecord(
                bundle: bundle, manifest: SHA256Digest.of([]), level: level,
                at: Timestamp(seconds: 1_790_000_000 + hour * 3600, nanoseconds: 5), command: "validate-backup",
                host: "h", tool: "t", problems: problems, objects: 1, bytes: 1))
    }

    private func standing(_ claims: [ProofClaim]) -> ProofStanding {
        ProofStanding.claimed(claims, of: bundle, at: Timestamp(seconds: 1_790_000_000 + 1000 * 3600))
    }

    @Test("a claim's name says what the record says, and reads back")
    func names() throws {
        for level in ProofLevel.allCases {
            for problems in [0, 3] {
                let made = claim(level, 5, problems: problems)
                #expect(ProofClaim(name: made.name) == made)
                #expect(made.isProven == (problems == 0))
            }
        }
    }

    @Test(
        "what is no record's name claims nothing",
        arguments: [
            "", "x", "20260921T151320Z-contents-proven", "20260921T151320Z-contents-good-k3f9qz",
            "20260921T151320Z-rehearsal-proven-k3f9qz", "20261321T151320Z-contents-proven-k3f9qz",
            "20260921T151320Z-contents-proven-../x", "20260921T151320Z-contents-proven-k3f9qz-more",
        ])
    func noNames(_ name: String) {
        #expect(ProofClaim(name: name) == nil)
    }

    @Test("the highest level counts, of its proofs the newest")
    func highest() {
        let contents = claim(.contents, 2)
        let found = standing([claim(.contents, 1), contents, claim(.checksum, 3), claim(.presence, 4)])
        #expect(found.proven == contents && found.problems == nil && !found.isVerified)
        #expect(standing([]).proven == nil)
    }

    @Test("problems stand until a later proof of the same or a higher level takes them back")
    func problems() {
        let (found, proven) = (claim(.checksum, 2, problems: 1), claim(.contents, 1))
        #expect(standing([proven, found]).problems == found)
        #expect(standing([proven, found]).proven == proven)
        #expect(standing([proven, found, claim(.presence, 3)]).problems == found)
        #expect(standing([proven, found, claim(.checksum, 3)]).problems == nil)
        #expect(standing([proven, found, claim(.checksum, 3)]).proven == proven)
        // Of one moment the bad news counts.
        #expect(standing([claim(.checksum, 2), found]).problems == found)
    }

    @Test("a claim from the future, or older than its bundle, claims nothing")
    func impossible() {
        #expect(standing([claim(.contents, 1001), claim(.contents, -1)]).proven == nil)
    }

    @Test("only claims that make a difference are read, and those that are not believed give way to older ones")
    func believing() async throws {
        let old = claim(.contents, 1)
        let forged = claim(.contents, 900)
        var asked: [ProofClaim] = []
        let nights = (2..<400).map { claim(.checksum, $0) }
        let found = await ProofStanding.of([old, forged] + nights) { claim in
            asked.append(claim)
            return claim != forged
        }
        #expect(found.proven == old && found.isVerified)
        #expect(asked.count == 3)
    }
}
