// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import TestSupport
import Testing

/// What every store must do, case by case, on an empty store.
struct StoreContract: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// Whether the case is about conditional writes, which some servers do not know.
    var needsConditions = false
    var check: @Sendable (any Store) async throws -> Void

    static let cases = [
        StoreContract(testDescription: "what is put is there at once, whole, of any size") { store in
            for count in [0, 1, 4096, 3 << 20] {
                let bytes = pattern(count)
                try await store.put("sizes/\(count)", bytes)
                #expect(try await store.size(of: "sizes/\(count)") == UInt64(count))
                #expect(try await store.get("sizes/\(count)") == bytes)
            }
            let listed = try await store.list("sizes/")
            #expect(listed.map(\.key) == ["sizes/0", "sizes/1", "sizes/3145728", "sizes/4096"])
            #expect(listed.map(\.size) == [0, 1, 3_145_728, 4096])
        },
        StoreContract(testDescription: "a range is given exactly or not at all") { store in
            let bytes = pattern(10_000)
            try await store.put("ranged", bytes)
            for range: Range<UInt64> in [0..<1, 0..<10_000, 9_999..<10_000, 1234..<5678, 10_000..<10_000, 5..<5] {
                #expect(try await store.get("ranged", range: range) == Array(bytes[range.asInt]), "\(range)")
            }
            for range: Range<UInt64> in [0..<10_001, 9_999..<10_001, 10_000..<10_001, 20_000..<20_001, 10_001..<10_001]
            {
                let failure = await failure { _ = try await store.get("ranged", range: range) }
                #expect(failure?.code == .integrity, "\(range): \(failure?.summary ?? "")")
            }
        },
        StoreContract(testDescription: "what is not there is told so") { store in
            try await store.put("there", [1])
            #expect(try await store.size(of: "missing") == nil)
            #expect(try await store.size(of: "there/below") == nil)
            for range: Range<UInt64>? in [nil, 0..<1, 0..<0] {
                let failure = await failure { _ = try await store.get("missing/object", range: range) }
                #expect(failure?.code == .objectNotFound)
                #expect(failure?.summary.contains("missing/object") == true)
            }
            try await store.delete("missing")
            try await store.delete("missing/object")
            #expect(try await store.list("missing/") == [])
            #expect(try await store.folders(under: "missing/") == [])
        },
        StoreContract(testDescription: "a second put replaces the whole object") { store in
            try await store.put("object", pattern(9000))
            try await store.put("object", pattern(100))
            #expect(try await store.get("object") == pattern(100))
            #expect(try await store.list("") == [StoredObject(key: "object", size: 100)])
        },
        StoreContract(testDescription: "a put on condition never replaces", needsConditions: true) { store in
            try await store.put("folder/once", [1, 2, 3], condition: .ifAbsent)
            let failure = await failure { try await store.put("folder/once", [4, 5], condition: .ifAbsent) }
            #expect(failure?.code == .conflict)
            #expect(failure?.summary.contains("folder/once") == true)
            #expect(try await store.get("folder/once") == [1, 2, 3])
            try await store.delete("folder/once")
            try await store.put("folder/once", [6], condition: .ifAbsent)
            #expect(try await store.get("folder/once") == [6])
        },
        StoreContract(testDescription: "of many who put on condition one wins", needsConditions: true) { store in
            let result = try await StoreProbe.run(store, rounds: 3, parallel: 8)
            #expect(result.conditionalWrites)
            #expect(result.listAfterPut)
            #expect(try await store.list("") == [])
        },
        StoreContract(testDescription: "listings are in the order of key bytes, each key once") { store in
            let keys = [
                "a", "b-c", "b.c", "b/c", "b/c-d/e", "b/c.d", "b0", "B", "ä/ö", "日本/語", "e\u{301}", "\u{e9}",
                "with blank/and+plus", "per%2Fcent", "a&b=c", "quo'te\"<x>", "tilde~", "~", "(x)*!", "😀",
            ]
            for key in keys { try await store.put(key, Array(key.utf8)) }
            let sorted = keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            #expect(try await store.list("").map { Array($0.key.utf8) } == sorted.map { Array($0.utf8) })
            for key in keys { #expect(try await store.get(key) == Array(key.utf8), "\(key)") }
            #expect(
                try await store.list("b").map(\.key)
                    == ["b-c", "b.c", "b/c", "b/c-d/e", "b/c.d", "b0"].filter {
                        keys.contains($0)
                    })
            #expect(try await store.list("b/").map(\.key) == ["b/c", "b/c-d/e", "b/c.d"])
            #expect(try await store.list("b/c-").map(\.key) == ["b/c-d/e"])
            #expect(try await store.list("nothing") == [])
        },
        StoreContract(testDescription: "folders are those directly below that hold something") { store in
            for key in ["top", "p/1/a", "p/1/b", "p/2-x/c/d", "p/10/e", "p/file", "q/f"] {
                try await store.put(key, [1])
            }
            #expect(try await store.folders(under: "") == ["p", "q"])
            #expect(try await store.folders(under: "p/") == ["1", "10", "2-x"])
            #expect(try await store.folders(under: "p/2-x/") == ["c"])
            #expect(try await store.folders(under: "p/1/") == [])
            for key in ["p/1/a", "p/1/b"] { try await store.delete(key) }
            // Some servers (SeaweedFS) go on naming a folder for a while after its last object was deleted.
            #expect(try await store.folders(under: "p/").filter { $0 != "1" } == ["10", "2-x"])
        },
        StoreContract(testDescription: "a deleted object is gone and its neighbours stay") { store in
            for key in ["d/one", "d/one-more", "d/two"] { try await store.put(key, [9]) }
            try await store.delete("d/one")
            #expect(try await store.size(of: "d/one") == nil)
            #expect(try await store.list("d/").map(\.key) == ["d/one-more", "d/two"])
            let failure = await failure { _ = try await store.get("d/one") }
            #expect(failure?.code == .objectNotFound)
        },
        StoreContract(testDescription: "listings longer than a page are complete and in order") { store in
            let keys = (0..<1105).map { "many/" + String(10_000 + $0).dropFirst() }
            try await concurrently(keys) { try await store.put($0, [1]) }
            let pages = Pages()
            try await store.list("many/") { await pages.append($0.map(\.key)) }
            #expect(await pages.all.flatMap(\.self) == keys)
            #expect(await pages.all.count >= 2)
            #expect(await pages.all.allSatisfy { $0.count <= 1000 })
        },
        StoreContract(testDescription: "many puts and gets at once do not mix") { store in
            let numbers = Array(0..<24)
            try await concurrently(numbers) { number in
                let bytes = pattern(200_000 + number * 1000)
                try await store.put("parallel/\(number)", bytes)
                let read = try await store.get("parallel/\(number)")
                #expect(read == bytes)
            }
            #expect(try await store.list("parallel/").count == 24)
        },
        StoreContract(testDescription: "keys that leave the repository are refused") { store in
            for key in ["", "/a", "a/", "a//b", "../a", "a/../b", "a/..", ".", "a/./b", "a\0b"] {
                #expect(await failure { try await store.put(key, [1]) } != nil, "\(key)")
                #expect(await failure { _ = try await store.get(key) } != nil, "\(key)")
                #expect(await failure { _ = try await store.size(of: key) } != nil, "\(key)")
                #expect(await failure { try await store.delete(key) } != nil, "\(key)")
            }
            for prefix in ["../", "/", "a/../b", "a//"] {
                #expect(await failure { _ = try await store.list(prefix) } != nil, "\(prefix)")
                #expect(await failure { _ = try await store.folders(under: prefix) } != nil, "\(prefix)")
            }
        },
    ]

    /// Bytes that differ by position and length.
    static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 8 &+ count) }
    }

    /// Runs `body` for each item, sixteen at a time.
    static func concurrently<Item: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, item) in items.enumerated() {
                if index >= 16 { try await group.next() }
                group.addTask { try await body(item) }
            }
            try await group.waitForAll()
        }
    }

    private actor Pages {
        var all: [[String]] = []
        func append(_ page: [String]) { all.append(page) }
    }
}

extension Range<UInt64> {
    fileprivate var asInt: Range<Int> { Int(lowerBound)..<Int(upperBound) }
}
