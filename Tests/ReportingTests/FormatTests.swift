// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Reporting
import Testing

@Suite("Formats for people")
struct FormatTests {
    @Test(
        "sizes have IEC units and three digits",
        arguments: [
            (UInt64(0), "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (12_897_485, "12.3 MiB"), (104_857_600, "100 MiB"),
            (1_073_741_823, "1.0 GiB"), (1_048_575, "1.0 MiB"), (999 << 30, "999 GiB"), (UInt64.max, "16.0 EiB"),
        ])
    func bytes(_ bytes: UInt64, _ text: String) {
        #expect(ByteFormat.text(bytes) == text)
    }

    @Test("a rate needs time to have passed")
    func rate() {
        #expect(ByteFormat.rate(10 << 20, seconds: 2) == "5.0 MiB/s")
        #expect(ByteFormat.rate(10, seconds: 0) == "-")
        #expect(ByteFormat.rate(UInt64.max, seconds: 1e-300).hasSuffix("/s"))
    }

    @Test(
        "durations read as people say them",
        arguments: [
            (0.0, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (200, "3 min 20 s"),
            (7500, "2 h 05 min"), (273_600, "3 d 4 h"), (-1, "-"), (.infinity, "-"), (.nan, "-"),
        ])
    func durations(_ seconds: Double, _ text: String) {
        #expect(DurationFormat.text(seconds) == text)
    }

    @Test(
        "in a table's cell they are one number",
        arguments: [
            (0.0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (172_799, "47h"), (172_800, "2d"),
            (-1, "-"), (.nan, "-"),
        ])
    func shortDurations(_ seconds: Double, _ text: String) {
        #expect(DurationFormat.short(seconds) == text)
    }

    @Test("a proof is its level and its age, and problems come first")
    func proofs() throws {
        let now = try #require(Timestamp("2026-11-21T12:00:00Z"))
        let proven = try #require(ProofClaim(name: "20261121T090000Z-contents-proven-k3f9qz"))
        var standing = ProofStanding(isVerified: true)
        #expect(ProofFormat.short(nil, at: now) == "-" && ProofFormat.short(standing, at: now) == "-")
        standing.proven = proven
        #expect(ProofFormat.short(standing, at: now) == "contents 3h")
        standing.problems = ProofClaim(name: "20261121T115900Z-checksum-problems-k3f9qz")
        #expect(ProofFormat.short(standing, at: now) == "PROBLEMS 1m")
        #expect(ProofFormat.lines(standing, at: now).count == 2)
    }

    @Test("times are shown in local time with UTC beside it, across midnight with its date")
    func times() throws {
        let moment = try #require(Timestamp("2026-11-21T23:30:03Z"))
        let east = try #require(TimeZone(secondsFromGMT: 3600))
        let west = try #require(TimeZone(secondsFromGMT: -12_600))
        let utc = try #require(TimeZone(secondsFromGMT: 0))
        #expect(TimeFormat.utc(moment) == "2026-11-21 23:30:03 UTC")
        #expect(TimeFormat.local(moment, zone: east) == "2026-11-22 00:30:03 +01:00")
        #expect(TimeFormat.both(moment, zone: east) == "2026-11-22 00:30:03 +01:00 (2026-11-21 23:30:03 UTC)")
        #expect(TimeFormat.both(moment, zone: west) == "2026-11-21 20:00:03 -03:30 (23:30:03 UTC)")
        #expect(TimeFormat.both(moment, zone: utc) == "2026-11-21 23:30:03 UTC")
    }

    @Test("ages end in 'ago', and a clock set back is no error")
    func ages() {
        let then = Timestamp(seconds: 1_000_000)
        #expect(TimeFormat.age(of: then, at: Timestamp(seconds: 1_011_100)) == "3 h 05 min ago")
        #expect(TimeFormat.age(of: then, at: then) == "just now")
        #expect(TimeFormat.age(of: then, at: Timestamp(seconds: 999_000)) == "just now")
    }
}
