// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Reads a form with one file (RFC 7578), strictly.
public enum MultipartBody {
    /// The bytes of the only part, which must be the file of `field`; nil when it is anything else.
    public static func file(of request: HTTPDouble.Request, field: String) -> [UInt8]? {
        guard let type = request.header("content-type"), type.hasPrefix("multipart/form-data; boundary="),
            let boundary = type.split(separator: "=", maxSplits: 1).last
        else { return nil }
        let body = Data(request.body)
        guard body.starts(with: Data("--\(boundary)\r\n".utf8)),
            let blank = body.range(of: Data("\r\n\r\n".utf8))
        else { return nil }
        let head = String(decoding: body[..<blank.lowerBound], as: UTF8.self)
        let tail = Data("\r\n--\(boundary)--\r\n".utf8)
        guard head.contains("name=\"\(field)\""), head.contains("filename=\""), body.suffix(tail.count) == tail else {
            return nil
        }
        let file = body[blank.upperBound..<(body.endIndex - tail.count)]
        return file.range(of: Data("--\(boundary)".utf8)) == nil ? Array(file) : nil
    }
}
