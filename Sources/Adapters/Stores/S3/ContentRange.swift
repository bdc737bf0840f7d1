// SPDX-License-Identifier: Apache-2.0
import Domain
import Transfer

/// Which part of an object a reply holds. Some servers (rclone) send it with status 200 instead of 206, so the field
/// counts, not the status.
struct ContentRange: Sendable, Equatable {
    /// The first byte's position.
    var first: UInt64
    /// The size of the whole object.
    var total: UInt64

    /// Reads `Content-Range: bytes 0-9/100`; nil when the reply holds everything, or nothing as with 416.
    init?(of response: HTTPResponse) throws {
        guard response.isSuccess, let field = response.header("Content-Range") else {
            guard response.status != 206 else { throw Self.unreadable("no Content-Range") }
            return nil
        }
        let numbers = field.split { !$0.isASCII || !$0.isNumber }.compactMap { UInt64($0) }
        guard field.hasPrefix("bytes "), numbers.count == 3, numbers[0] <= numbers[1], numbers[1] < numbers[2] else {
            throw Self.unreadable("'\(field)'")
        }
        (first, total) = (numbers[0], numbers[2])
    }

    private static func unreadable(_ what: String) -> Failure {
        Failure(.storageFailed, "the store's reply for a part of an object has \(what) where its range should be")
    }
}
