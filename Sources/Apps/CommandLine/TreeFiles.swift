// SPDX-License-Identifier: Apache-2.0
import Domain
import Files

/// Extracts tar streams for `restore --to-directory`.
struct TreeFiles: TreeWriting {
    func extract(_ stream: any StoredStream, into directory: String, include: [String]) async throws -> [String] {
        try await TreeRestore.extract(stream: stream, into: directory, include: include).notices
    }
}
