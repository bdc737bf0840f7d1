// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Testing

@Suite("Times and ids")
struct TimestampTests {
    @Test("agrees with Foundation's calendar over centuries", arguments: 0..<400)
    func calendar(step: Int) throws {
        let seconds = Int64(-2_000_000_000) + Int64(step) * 16_777_213
        let formatter = ISO8601DateFormatter()
        let text = formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds)))
        let moment = Timestamp(seconds: seconds)
        #expect(moment.description == text)
        #expect(Timestamp(text) == moment)
        #expect(Timestamp(compact: moment.compact) == moment)
    }

    @Test(
        "refuses what is no time",
        arguments: ["", "2026-11-21", "2026-13-21T02:00:03Z", "2026-11-21 02:00:03Z", "2026-11-21T25:00:03Z"])
    func refuses(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test("a bundle id keeps plan and start, also with dashes in the plan")
    func bundleID() throws {
        let id = try #require(BundleID("20261121T020003Z-db-nightly-k3f9qz"))
        #expect(id.plan == "db-nightly")
        #expect(id.started.description == "2026-11-21T02:00:03Z")
        #expect(id.folder == "bundles/db-nightly/2026/11/21/20261121T020003Z-db-nightly-k3f9qz")
    }

    @Test(
        "refuses what is no bundle id",
        arguments: [
            "latest", "20261121T020003Z", "20261121T020003Z-nightly", "20261121T020003Z-../x-k3f9qz",
            "20261121T020003Z-nightly-K3F9QZ", "20261121T020003Z--k3f9qz",
        ])
    func refusesIDs(text: String) {
        #expect(BundleID(text) == nil)
    }

    @Test(
        "names made safe differ when the originals differ",
        arguments: [("a b", "a_b"), ("a_20b", "a b"), ("ä", "a"), ("..", "__")])
    func safeNames(pair: (String, String)) {
        let (left, right) = (SafeName.escaping(pair.0), SafeName.escaping(pair.1))
        #expect(left != right)
        #expect(SafeName.isValid("db." + left) && SafeName.isValid("db." + right))
    }
}
