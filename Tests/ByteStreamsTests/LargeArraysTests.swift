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
}
