// SPDX-License-Identifier: Apache-2.0
import Domain

/// The compression of long strings in an RDB: literal runs, and references to what was written before.
enum LZF {
    /// The plain bytes, which must be exactly `count`.
    static func decompress(_ input: [UInt8], to count: Int) throws -> [UInt8] {
        let damaged = Failure(.sourceFailed, "the RDB is damaged: a compressed string does not unpack")
        var output: [UInt8] = []
        output.reserveCapacity(count)
        var position = 0
        while position < input.count {
            let control = Int(input[position])
            position += 1
            if control < 32 {  // a run of control + 1 literal bytes
                guard position + control < input.count else { throw damaged }
                output += input[position...(position + control)]
                position += control + 1
                continue
            }
            var length = control >> 5
            if length == 7 {
                guard position < input.count else { throw damaged }
                length += Int(input[position])
                position += 1
            }
            guard position < input.count else { throw damaged }
            let start = output.count - ((control & 31) << 8 | Int(input[position])) - 1
            position += 1
            guard start >= 0 else { throw damaged }
            for offset in 0..<(length + 2) { output.append(output[start + offset]) }  // may overlap itself
        }
        guard output.count == count else { throw damaged }
        return output
    }
}
