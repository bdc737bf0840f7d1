// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

extension RedisAdapter {
    /// Parameters that are secrets and stay out of bundles.
    private static let secretParameters: Set<String> = [
        "requirepass", "masterauth", "primaryauth", "tls-key-file-pass", "tls-client-key-file-pass",
    ]

    /// The answer to `CONFIG GET *` as a JSON object without the secrets, sorted so that nights compare.
    static func configuration(_ reply: RespValue) throws -> String {
        let parameters = reply.pairs.compactMapValues(\.text).filter { !secretParameters.contains($0.key) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(parameters), as: UTF8.self) + "\n"
    }
}
