// SPDX-License-Identifier: Apache-2.0
import Domain

/// Extracts tar streams for `restore --to-directory`.
struct TreeFiles: TreeWriting {
    func extract(_ stream: any StoredStream, into directory: String, include: [String]) async throws -> [String] {
        throw Failure(.internalError, "no trees yet")
    }
}
