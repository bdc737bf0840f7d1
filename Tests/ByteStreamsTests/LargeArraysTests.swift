// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Testing

@Suite("Large arrays")
struct LargeArraysTests {
    @Test("hold exactly what was written, whatever an array held before", arguments: [0, 1, 4096, 3 << 20, 40 << 20])
    func contents(_ size: Int) {
        for round in UInt8(1)...3 {
            let made = LargeArrays.make(size) { buffer, count in
                #expect(buffer.count >= size)
                buffer[..<size].update(repeating: round)
                count = size
            }
            #expect(made.count == size)
            #expect(made.allSatisfy { $0 == round })
            LargeArrays.giveBack(made)
        }
    }

    @Test("given back, leave the bytes of whoever still holds them alone")
    func values() {
        let first = LargeArrays.make(2 << 20) { buffer, count in
            buffer.update(repeating: 7)
            count = 2 << 20
        }
        let kept = first
        LargeArrays.giveBack(first)
        let second = LargeArrays.make(2 << 20) { buffer, count in
            buffer.update(repeating: 9)
            count = 2 << 20
        }
        #expect(kept.count == 2 << 20)
        #expect(kept.allSatisfy { $0 == 7 })
        #expect(second.allSatisfy { $0 == 9 })
    }

    @Test("keep what was written before an error to themselves")
    func errors() {
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try LargeArrays.make(2 << 20) { _, count in
                count = 10
                throw Stop()
            }
        }
        #expect(LargeArrays.take(2 << 20).isEmpty)
    }

    @Test("an array that was worked on in the background is its owner's alone, and given back whole", arguments: 0..<20)
    func reuse(_ round: Int) async throws {
        var made = LargeArrays.make(32 << 20) { buffer, count in
            buffer[0] = 1
            count = 32 << 20
        }
        let first = try await Blocking.run { [made] in made.first }
        #expect(first == 1)
        // Were somebody else to hold it, this would move it.
        let place = made.withUnsafeBytes { $0.baseAddress }
        made[0] = 2
        #expect(made.withUnsafeBytes { $0.baseAddress } == place)
        LargeArrays.giveBack(&made)
        #expect(made.isEmpty)
    }

    @Test(
        "few bytes move out of a large array, many stay, and trimming touches neither",
        arguments: [0, 1, 1 << 20, 20 << 20])
    func fitting(_ size: Int) {
        let made = LargeArrays.make(32 << 20) { buffer, count in
            buffer.update(repeating: 5)
            count = size
        }
        LargeArrays.trim(made)
        #expect(made.count == size)
        #expect(made.allSatisfy { $0 == 5 })
        let fitted = LargeArrays.fitted(made)
        #expect(fitted.count == size)
        #expect(fitted.allSatisfy { $0 == 5 })
        #expect(size > 4 << 20 || fitted.capacity < 4 << 20)
        var more = made
        more.append(contentsOf: [UInt8](repeating: 6, count: 3 << 20))
        #expect(more.prefix(size).allSatisfy { $0 == 5 })
        #expect(more.dropFirst(size).allSatisfy { $0 == 6 })
    }
}
