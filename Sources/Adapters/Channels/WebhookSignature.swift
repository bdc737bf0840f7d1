// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation

/// Signs webhooks as the Standard Webhooks specification says, so that its libraries verify them
/// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md): HMAC-SHA256 over id,
/// timestamp and body with dots between, in base64 behind `v1,`.
enum WebhookSignature {
    /// - Parameter secret: `whsec_` and a key in base64, or any text, whose bytes are the key.
    static func of(_ body: [UInt8], id: String, timestamp: Int64, secret: String) -> String {
        let signed = Data("\(id).\(timestamp).".utf8) + Data(body)
        let code = HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: key(secret)))
        return "v1,\(Data(code).base64EncodedString())"
    }

    private static func key(_ secret: String) -> Data {
        let prefix = "whsec_"
        guard secret.hasPrefix(prefix), let key = Data(base64Encoded: String(secret.dropFirst(prefix.count))) else {
            return Data(secret.utf8)
        }
        return key
    }
}
