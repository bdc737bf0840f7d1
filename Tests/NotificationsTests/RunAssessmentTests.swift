// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import Notifications

@Suite("What a run tells")
struct RunAssessmentTests {
    private func of(
        _ record: RunRecord, _ history: [RunRecord] = [], recoveryPoint: Int? = nil, book: TroubleBook = TroubleBook()
    ) -> Assessment {
        RunAssessment.of(record, plan: plan(recoveryPoint: recoveryPoint), history: history, book: book)
    }

    @Test("a failed run says since when, what, and what to type")
    func failed() throws {
        let finding = try #require(
            of(night(3, .failed), [night(0), night(1, .failed), night(2, .died)]).findings.first)
        #expect(finding.event == .failed && finding.trouble == .run)
        #expect(finding.since == night(1).started)
        #expect(finding.what.first == "pg_dump ended with 1 (source.failed)")
        #expect(finding.what.last == "that makes 3 runs in a row without a whole bundle")
        #expect(finding.next.first == NextStep(nil, "Look at the server's log."))
        #expect(finding.next.compactMap(\.command) == ["salvor doctor nightly", "salvor backup nightly"])
    }

    @Test("a partial run names its missing sources, and is other news when others are missing")
    func partial() throws {
        let sizes: [String: UInt64] = ["cache": 5, "db": 5]
        let one = try #require(of(night(1, .partial, sizes: sizes, failing: ["db"])).findings.first)
        #expect(one.event == .partial && one.severity == .warning)
        #expect(one.what.contains("db: db is down (source.failed)"))
        let both = try #require(of(night(1, .partial, sizes: sizes, failing: ["cache", "db"])).findings.first)
        #expect(one.signature != both.signature)
        let later = try #require(of(night(2, .partial, sizes: sizes, failing: ["db"])).findings.first)
        #expect(one.signature == later.signature)
    }

    @Test("a run that died is told, though nobody was there to record why")
    func died() throws {
        var record = night(1, .died)
        record.failure = nil
        let finding = try #require(of(record).findings.first)
        #expect(finding.title == "backup died" && finding.what.first?.contains("killed") == true)
    }

    @Test("a good run clears failures and the recovery point; one of some sources says nothing")
    func good() {
        let assessment = of(night(1))
        #expect(assessment.cleared.isSuperset(of: [.run, .overdue]) && assessment.isSuccess)
        #expect(of(night(1, isWhole: false)) == Assessment())
        #expect(of(night(1, .failed, isWhole: false)) == Assessment())
    }

    @Test("a failed run tells when the recovery point is missed by now")
    func overdue() {
        let history = [night(0), night(1, .failed)]
        #expect(of(night(2, .failed), history, recoveryPoint: 26 * 3600).findings.map(\.event) == [.failed, .overdue])
        #expect(of(night(1, .failed), [night(0)], recoveryPoint: 26 * 3600).findings.map(\.event) == [.failed])
        #expect(of(night(2, .failed), history).findings.map(\.event) == [.failed])
    }

    @Test("a failed validation stays open until that bundle, or a newer one, is proven")
    func validation() throws {
        var bad = night(2, .failed, kind: .validate, code: "integrity.damaged", isWhole: false)
        bad.bundle = night(2).id
        let found = of(bad)
        #expect(found.findings.first?.event == .validationFailed)
        #expect(found.findings.first?.severity == .critical)
        var book = TroubleBook()
        _ = book.take(found, channels: [channel()], now: firstNight)
        var older = night(3, kind: .validate)
        older.bundle = night(1).id
        #expect(of(older, book: book).cleared.isEmpty)
        older.bundle = night(3).id
        #expect(of(older, book: book).cleared == [.validation])
        #expect(found.findings.first?.title == "\(night(2).id) is not proven")
        // Without a key nothing was found out about the bundle.
        let keyless = of(night(2, .failed, kind: .validate, code: "key.no-decryption-key")).findings.first
        #expect(keyless?.severity == .warning && keyless?.title == "validation could not be done")
        var stopped = bad
        stopped.failure = RecordedFailure(code: "interrupted", message: "interrupted")
        #expect(of(stopped).findings.isEmpty)
    }

    @Test("failed drills and prunes are told; a prune that waits for a good night is not, a restore never")
    func others() {
        #expect(of(night(1, .failed, kind: .drill)).findings.first?.event == .drillFailed)
        #expect(of(night(1, kind: .drill)).cleared == [.drill])
        // Of some sources, it makes good what failed of them and nothing else.
        let sizes: [String: UInt64] = ["cache": 5, "db": 5]
        let broken = night(1, .failed, kind: .drill, sizes: sizes, failing: ["db"])
        let (cache, db) = (
            night(2, kind: .drill, sizes: ["cache": 5], isWhole: false),
            night(3, kind: .drill, sizes: ["db": 5], isWhole: false)
        )
        #expect(of(cache, [broken]) == Assessment())
        #expect(of(db, [broken, cache]).cleared == [.drill])
        #expect(of(night(3, kind: .drill), [broken, cache]).cleared == [.drill])
        #expect(of(night(1, .failed, kind: .prune, code: "storage.denied")).findings.first?.trouble == .prune)
        #expect(of(night(1, .failed, kind: .prune, code: "prune.refused"), [night(0, .failed)]).findings.isEmpty)
        #expect(of(night(1, .failed, kind: .prune, code: "prune.refused"), [night(0)]).findings.count == 1)
        #expect(of(night(1, .failed, kind: .restore)) == Assessment())
    }

    @Test("what a server printed cannot break a line, turn the writing, or fill a message")
    func hostileText() throws {
        var record = night(1, .failed)
        record.failure = RecordedFailure(
            code: "source.failed",
            message: "first\nSubject: x\u{1b}[31m \u{202e}drow " + String(repeating: "y", count: 900))
        let line = try #require(of(record).findings.first?.what.first)
        #expect(!line.unicodeScalars.contains { $0.value < 32 || $0 == "\u{202e}" })
        #expect(line.count < 330 && line.hasPrefix("first Subject: x"))
    }
}

@Suite("Unusual sizes and durations")
struct AnomalyTests {
    private func nights(_ count: Int, _ sizes: [String: UInt64]) -> [RunRecord] {
        (0..<count).map { night($0, sizes: sizes.mapValues { $0 + UInt64($0 % 3) << 16 }) }
    }

    private func finding(
        _ record: RunRecord, _ history: [RunRecord], book: TroubleBook = TroubleBook()
    ) -> Finding? {
        RunAssessment.of(record, plan: plan(), history: history, book: book).findings.first { $0.event == .anomaly }
    }

    @Test(
        "a source far outside of what it had is told, with its usual size; the others are not",
        arguments: [(0, true), (40, true), (60, false), (100, false), (190, false), (250, true)] as [(UInt64, Bool)])
    func size(mebibytes: UInt64, isFar: Bool) {
        let history = nights(10, ["db": 100 << 20, "etc": 1 << 20])
        let found = finding(night(10, sizes: ["db": mebibytes << 20, "etc": 1 << 20]), history)
        #expect((found != nil) == isFar)
        if let found {
            #expect(found.what.count == 1 && found.what[0].hasPrefix("db: ") && found.what[0].contains("100 MiB"))
        }
    }

    @Test("too little history, small things, and trees that are whole on some nights are no anomalies")
    func quiet() {
        #expect(finding(night(4, sizes: ["db": 0]), nights(4, ["db": 100 << 20])) == nil)
        #expect(finding(night(10, sizes: ["db": 9000]), nights(10, ["db": 100])) == nil)
        // A tree: whole once, then its changes.
        let tree = [night(0, sizes: ["www": 5 << 30])] + (1..<20).map { night($0, sizes: ["www": 2 << 20]) }
        #expect(finding(night(20, sizes: ["www": 5 << 30]), tree) == nil)
        #expect(finding(night(20, sizes: ["www": 0]), tree) == nil)
    }

    @Test("a run that takes far longer than ever is told, a little slower is not")
    func duration() {
        let history = nights(10, ["db": 100 << 20])
        #expect(finding(night(10, seconds: 7200), history)?.what.first?.hasPrefix("it took 2 h") == true)
        #expect(finding(night(10, seconds: 500), history) == nil)
    }

    @Test("an unusual night does not vouch for the next one, but after a week it is usual")
    func lasting() throws {
        var history = nights(10, ["db": 100 << 20])
        var book = TroubleBook()
        var events: [(Int, NotificationEvent)] = []
        for number in 10..<22 {
            let record = night(number, sizes: ["db": 1 << 20])
            let assessment = RunAssessment.of(record, plan: plan(), history: history, book: book)
            for notice in book.take(assessment, channels: [channel(remind: 30 * 86_400)], now: record.finished) {
                events.append((number, notice.event))
            }
            history.append(record)
        }
        #expect(events.map(\.1) == [.anomaly, .recovered])
        #expect(events.map(\.0) == [10, 18])
    }
}
