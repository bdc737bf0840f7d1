// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Stores

@Suite struct S3FaultTests {
    /// A faulty proxy in front of SeaweedFS, a store behind the proxy and one that goes round it.
    private func faulty(
        _ faults: [FaultProxy.Fault], attempts: Int = 6, stallSeconds: Int = 1, isPutOnly: Bool = false
    ) async throws -> (proxy: FaultProxy, store: S3Store, direct: S3Store) {
        let server = try await SeaweedFS.shared().plain
        let bucket = try await Buckets.shared.bucket(at: server)
        let prefix = "faults/\(UUID().uuidString.lowercased())"
        let proxy = try FaultProxy(server, faults)
        let store = try S3Store.under(test: proxy.endpoint, bucket: bucket, prefix: prefix) {
            $0.retry = RetryPolicy(attempts: attempts, totalSeconds: 60, firstPause: 0.01, longestPause: 0.05)
            $0.stallSeconds = stallSeconds
            $0.isPutOnly = isPutOnly
        }
        return (proxy, store, try S3Store.under(test: server, bucket: bucket, prefix: prefix))
    }

    /// A passing fault, by name.
    struct Passing: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var effect: FaultProxy.Effect
        var times = 1
    }

    static let forPuts = [
        Passing(testDescription: "500", effect: .answer(500, code: "InternalError"), times: 3),
        Passing(testDescription: "503 SlowDown", effect: .answer(503, code: "SlowDown", retryAfter: "0"), times: 3),
        Passing(testDescription: "429", effect: .answer(429, code: ""), times: 2),
        Passing(testDescription: "400 RequestTimeout", effect: .answer(400, code: "RequestTimeout")),
        Passing(testDescription: "409", effect: .answer(409, code: "ConditionalRequestConflict"), times: 3),
        Passing(testDescription: "reset before", effect: .resetBefore, times: 2),
        Passing(testDescription: "reset after the store has it", effect: .resetAfterwards),
        Passing(testDescription: "silence after the store has it", effect: .silenceAfterwards),
        Passing(testDescription: "502 after the store has it", effect: .answerAfterwards(502)),
        Passing(testDescription: "a bit flipped on the way", effect: .flipRequest),
    ]

    @Test("A put survives a passing fault and writes once what was meant", arguments: forPuts, [false, true])
    func puts(_ fault: Passing, onCondition: Bool) async throws {
        let (proxy, store, direct) = try await faulty([.init(method: "PUT", effect: fault.effect, times: fault.times)])
        let bytes = StoreContract.pattern(300_000)
        try await store.put("a/object", bytes, condition: onCondition ? .ifAbsent : .none)
        #expect(proxy.left.isEmpty)
        #expect(try await direct.get("a/object") == bytes)
        #expect(try await direct.list("").map(\.key) == ["a/object"])
    }

    @Test("A put whose outcome is unknown does not send its body again when the store has it")
    func unknownOutcome() async throws {
        let (proxy, store, _) = try await faulty([.init(method: "PUT", effect: .resetAfterwards)])
        try await store.put("object", StoreContract.pattern(100_000))
        #expect(proxy.left.isEmpty)
        #expect(proxy.requests.map(\.method) == ["PUT", "HEAD"])
    }

    @Test("A put of unknown outcome over an object of the same size is not mistaken for done")
    func unknownOutcomeOfOverwrite() async throws {
        let (proxy, store, direct) = try await faulty([.init(method: "PUT", effect: .resetBefore)])
        try await direct.put("object", [1, 1, 1])
        try await store.put("object", [2, 2, 2])
        #expect(proxy.left.isEmpty)
        #expect(try await direct.get("object") == [2, 2, 2])
    }

    @Test("A put on condition that lost to somebody else after an unknown outcome is a conflict")
    func lostRace() async throws {
        let (proxy, store, direct) = try await faulty([.init(method: "PUT", effect: .resetBefore)])
        try await direct.put("object", [1, 1, 1])
        let failure = await failure { try await store.put("object", [2, 2, 2], condition: .ifAbsent) }
        #expect(failure?.code == .conflict)
        #expect(proxy.left.isEmpty)
        #expect(try await direct.get("object") == [1, 1, 1])
    }

    @Test(
        "A key that may only put never looks: refused when it asks again, the object is its own; at once, it is another's"
    )
    func putOnly() async throws {
        let (proxy, store, direct) = try await faulty(
            [.init(method: "PUT", effect: .resetAfterwards)], isPutOnly: true)
        let bytes = StoreContract.pattern(100_000)
        try await store.put("object", bytes, condition: .ifAbsent)
        #expect(proxy.left.isEmpty && proxy.requests.map(\.method) == ["PUT", "PUT"])
        let error = await #expect(throws: Failure.self) {
            try await store.put("object", StoreContract.pattern(7), condition: .ifAbsent)
        }
        #expect(error?.code == .conflict)
        #expect(try await direct.get("object") == bytes)
        #expect(proxy.requests.allSatisfy { $0.method == "PUT" })
    }

    @Test("A put on condition that is refused although our bytes are there already, after an unknown outcome, is done")
    func refusedByOurselves() async throws {
        // The HEAD in between is spoilt too, so that only the 412 is left to tell.
        let (proxy, store, direct) = try await faulty([
            .init(method: "PUT", effect: .resetAfterwards), .init(method: "HEAD", effect: .resetBefore),
        ])
        try await store.put("object", [3, 3, 3], condition: .ifAbsent)
        #expect(proxy.left.isEmpty)
        #expect(proxy.requests.filter { $0.method == "PUT" }.count == 2)
        #expect(try await direct.get("object") == [3, 3, 3])
    }

    static let forGets = [
        Passing(testDescription: "500", effect: .answer(500, code: "InternalError"), times: 2),
        Passing(testDescription: "503", effect: .answer(503, code: "SlowDown"), times: 2),
        Passing(testDescription: "reset", effect: .resetAfterwards),
        Passing(testDescription: "silence", effect: .silenceAfterwards),
        Passing(testDescription: "cut under its old length", effect: .cutBody, times: 2),
        Passing(testDescription: "shortened under a new length", effect: .shortenBody),
        Passing(testDescription: "emptied", effect: .emptyBody),
    ]

    @Test("A get survives a passing fault and gives every byte", arguments: forGets, [nil, 1000..<90_000])
    func gets(_ fault: Passing, range: Range<UInt64>?) async throws {
        let (proxy, store, direct) = try await faulty([.init(method: "GET", effect: fault.effect, times: fault.times)])
        let bytes = StoreContract.pattern(100_000)
        try await direct.put("object", bytes)
        let read = try await store.get("object", range: range)
        #expect(read == (range.map { Array(bytes[Int($0.lowerBound)..<Int($0.upperBound)]) } ?? bytes))
        #expect(proxy.left.isEmpty)
    }

    @Test("A bit flipped in a whole object on its way back is noticed by the store's checksum")
    func flippedReply() async throws {
        let (proxy, store, direct) = try await faulty([.init(method: "GET", effect: .flipReply)])
        try await direct.put("object", [1, 2, 3, 4])
        #expect(try await store.get("object") == [1, 2, 3, 4])
        #expect(proxy.left.isEmpty)
    }

    static let forListings = [
        Passing(testDescription: "500", effect: .answer(500, code: "InternalError"), times: 2),
        Passing(testDescription: "200 with an error inside", effect: .errorInside, times: 2),
        Passing(testDescription: "200 with nothing inside", effect: .emptyBody),
        Passing(testDescription: "cut under its old length", effect: .cutBody),
        Passing(testDescription: "shortened under a new length", effect: .shortenBody),
        Passing(testDescription: "reset", effect: .resetAfterwards),
    ]

    @Test("A listing survives a passing fault and is complete", arguments: forListings)
    func listings(_ fault: Passing) async throws {
        let (proxy, store, direct) = try await faulty([
            .init(method: "LIST", effect: fault.effect, times: fault.times)
        ])
        for key in ["a/1", "a/2", "b"] { try await direct.put(key, [1]) }
        #expect(try await store.list("").map(\.key) == ["a/1", "a/2", "b"])
        #expect(proxy.left.isEmpty)
    }

    @Test("Faults that stay end in a failure that says what and how often, and leave no part of an object")
    func lastingFaults() async throws {
        let lasting: [(FaultProxy.Effect, Failure.Code, String)] = [
            (.answer(503, code: "SlowDown"), .storageThrottled, "is busy: SlowDown: planned (tried 3 times)"),
            (.answer(500, code: "InternalError"), .storageFailed, "answers InternalError: planned (tried 3 times)"),
            (.resetBefore, .storageUnreachable, "(tried 3 times)"),
            (.flipRequest, .storageFailed, "(tried 3 times)"),
            (.answer(507, code: "QuotaExceeded"), .storageFull, "is full"),
            (.answer(501, code: "NotImplemented"), .storageUnsupported, "cannot do that: NotImplemented"),
        ]
        for (effect, code, text) in lasting {
            let (proxy, store, direct) = try await faulty(
                [.init(method: "PUT", effect: effect, times: 1000)], attempts: 3)
            let failure = await failure { try await store.put("object", [1, 2, 3]) }
            #expect(failure?.code == code)
            #expect(failure?.summary.contains(text) == true, "\(failure?.summary ?? "")")
            #expect(failure?.summary.contains("writing 'object'") == true || code == .storageUnreachable)
            #expect(try await direct.list("") == [])
            #expect(!proxy.requests.isEmpty)
        }
    }

    @Test("A stale listing is found out by the probe")
    func staleListing() async throws {
        let (proxy, store, _) = try await faulty([.init(method: "LIST", effect: .stale, times: 2, after: 1)])
        #expect(try await store.list("") == [])
        #expect(try await StoreProbe.run(store, rounds: 1, parallel: 2).listAfterPut == false)
        #expect(proxy.left.isEmpty)
    }

    @Test("The whole contract holds over a line that breaks again and again", arguments: StoreContract.cases)
    func contract(_ contract: StoreContract) async throws {
        // None of these faults stalls; a busy machine must not look like one.
        let (proxy, store, _) = try await faulty([], stallSeconds: 10)
        try await contract.check(store)
        let isLocal = contract.testDescription.hasPrefix("keys that leave")
        #expect(proxy.requests.isEmpty == isLocal)

        // The second request of each kind, whatever the case does, is met by a fault.
        let kinds = Set(proxy.requests.map { $0.target.contains("list-type=2") ? "LIST" : $0.method })
        let effects: [String: FaultProxy.Effect] = [
            "PUT": .resetAfterwards, "GET": .cutBody, "HEAD": .resetBefore, "LIST": .shortenBody,
            "DELETE": .answerAfterwards(504),
        ]
        let faults = kinds.sorted().compactMap { kind in
            effects[kind].map { FaultProxy.Fault(method: kind, effect: $0) }
        }
        let (second, again, _) = try await faulty(faults, stallSeconds: 10)
        try await contract.check(again)
        #expect(second.left.isEmpty)
    }
}
