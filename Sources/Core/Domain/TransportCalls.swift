// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// The usual ways to run a program, made of the transport's one primitive.
extension Transport {
    /// Runs a program to its end with `input`, and gives its whole output, at most `limit` bytes. A status other than 0
    /// throws `Failure(.programFailed)` with the last words of standard error.
    public func output(of program: Program, input: [UInt8] = [], limit: Int = 64 << 20) async throws -> [UInt8] {
        let (bytes, exit) = try await outputAndExit(of: program, input: input, limit: limit)
        try exit.requireSuccess(of: program)
        return bytes
    }

    /// Runs a program to its end with `input`; the caller looks at the exit.
    public func outputAndExit(
        of program: Program, input: [UInt8] = [], limit: Int = 64 << 20
    ) async throws -> ([UInt8], ProgramExit) {
        try await run(program) { pipes in
            async let fed: Void = Blocking.run {
                // A program may end without reading all its input; its exit status decides, not a broken pipe.
                do { try input.withUnsafeBytes { try pipes.write($0) } } catch {}
                try pipes.closeInput()
            }
            let bytes = try await Blocking.run {
                var collected: [UInt8] = []
                try pipes.forEachChunk { chunk in
                    guard collected.count + chunk.count <= limit else {
                        throw Failure(.programFailed, "\(program.name) printed more than \(limit) bytes")
                    }
                    collected.append(contentsOf: chunk)
                }
                return collected
            }
            try await fed
            return bytes
        }
    }

    /// Runs a program and gives its standard output, chunk by chunk, to `consume` on a thread that may block. Returns the
    /// number of bytes and the exit, which the caller must look at.
    public func stream(
        _ program: Program, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> (StreamEnd, ProgramExit) {
        try await run(program) { pipes in
            try pipes.closeInput()
            return try await Blocking.run { StreamEnd(length: try pipes.forEachChunk(consume)) }
        }
    }
}

extension ProgramPipes {
    /// Reads standard output to its end in chunks of up to 1 MiB; returns the number of bytes. Blocks.
    @discardableResult
    public func forEachChunk(_ body: (UnsafeRawBufferPointer) throws -> Void) throws -> UInt64 {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var total: UInt64 = 0
        while true {
            let count = try read(into: buffer)
            if count == 0 { return total }
            total += UInt64(count)
            try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}

extension ProgramExit {
    /// Throws unless the program exited with 0.
    public func requireSuccess(of program: Program, hint: String? = nil) throws {
        guard !isSuccess else { return }
        let words = lastWords.isEmpty ? "" : ": \(lastWords)"
        throw Failure(.programFailed, "\(program.name) failed (\(status))\(words)", hint: hint)
    }
}
