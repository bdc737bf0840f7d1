// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Stores

@Suite struct StoreContractTests {
    @Test("A store keeps the contract", arguments: StoreUnderTest.all, StoreContract.cases)
    func contract(_ target: StoreUnderTest, _ contract: StoreContract) async throws {
        // A server known not to honour conditions is still asked, below, whether the probe finds that out.
        if contract.needsConditions, !target.hasConditions { return }
        let (store, keeper) = try await target.make()
        try await contract.check(store)
        withExtendedLifetime(keeper) {}
    }

    @Test("The probe finds out whether conditional writes hold", arguments: StoreUnderTest.all)
    func probe(_ target: StoreUnderTest) async throws {
        let (store, keeper) = try await target.make()
        let result = try await StoreProbe.run(store)
        #expect(result.conditionalWrites == target.hasConditions)
        #expect(result.listAfterPut)
        #expect(try await store.list("") == [], "the probe removes what it wrote")
        withExtendedLifetime(keeper) {}
    }

    @Test("A read-only store reads, and refuses the rest", arguments: StoreUnderTest.all.prefix(2))
    func readOnly(_ target: StoreUnderTest) async throws {
        let (store, keeper) = try await target.make()
        try await store.put("a/b", [1, 2])
        let reader = ReadOnlyStore(store)
        #expect(try await reader.get("a/b", range: 1..<2) == [2])
        #expect(try await reader.size(of: "a/b") == 2)
        #expect(try await reader.list("").count == 1)
        #expect(try await reader.folders(under: "") == ["a"])
        #expect(await failure { try await reader.put("c", [1]) }?.code == .storageDenied)
        #expect(await failure { try await reader.delete("a/b") }?.code == .storageDenied)
        #expect(try await store.list("").map(\.key) == ["a/b"])
        withExtendedLifetime(keeper) {}
    }
}
