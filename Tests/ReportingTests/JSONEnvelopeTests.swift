// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Reporting
import Testing

@Suite("JSON documents")
struct JSONEnvelopeTests {
    private struct Example: Encodable {
        var zeta = "/srv/b"
        var alpha: UInt64 = 9_007_199_254_740_993
    }

    private let at = Timestamp(seconds: 1_795_226_403)

    @Test("a result has its schema, sorted keys and exact numbers")
    func result() throws {
        let text = try JSONEnvelope(command: "list-backups", at: at, result: Example()).text()
        #expect(
            text
                == """
                {
                  "at" : "2026-11-21T02:00:03Z",
                  "command" : "list-backups",
                  "result" : {
                    "alpha" : 9007199254740993,
                    "zeta" : "/srv/b"
                  },
                  "schema" : "salvor.list-backups/1"
                }

                """.replacing("2026-11-21T02:00:03Z", with: "\(at)"))
    }

    @Test("an error has its code, message and hint")
    func failure() throws {
        let failure = Failure(.keyExpired, "key ABCD expired", hint: "Renew it.")
        let text = try JSONEnvelope<NoResult>(command: "backup", at: at, result: nil, failure: failure).text()
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object["result"] == nil)
        #expect(
            object["error"] as? [String: String]
                == ["code": "key.expired", "message": "key ABCD expired", "hint": "Renew it."])
    }
}
