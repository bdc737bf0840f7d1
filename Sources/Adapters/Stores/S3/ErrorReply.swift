// SPDX-License-Identifier: Apache-2.0
import Foundation
import Transfer
import XMLCoder

/// What a server says in an error reply
/// (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
struct ErrorReply: Sendable, Equatable {
    /// `NoSuchKey`, `SlowDown`, …; empty when the reply has none, as for HEAD.
    var code = ""
    var message = ""
    var region: String?
    var status: Int

    /// Reads the reply of an object store; a body that is no error document leaves the code empty.
    init(_ response: HTTPResponse) {
        status = response.status
        region = response.header("x-amz-bucket-region")
        // A proxy's page or a cut document is no error document; the status then speaks alone.
        guard let document = try? XMLDecoder.capitalized.decode(Document.self, from: Data(response.body)) else {
            return
        }
        take(document)
    }

    /// Reads the reply of the security token service, which wraps the error once more.
    init(tokenService response: HTTPResponse) {
        status = response.status
        // As above.
        guard let wrapped = try? XMLDecoder.capitalized.decode(Wrapped.self, from: Data(response.body)) else { return }
        take(wrapped.error)
    }

    /// For people: `SlowDown: please reduce your request rate`, or the status.
    var words: String {
        if code.isEmpty { return "status \(status)" }
        let text = message.split(whereSeparator: \.isNewline).joined(separator: " ").prefix(300)
        return text.isEmpty ? code : "\(code): \(text)"
    }

    private mutating func take(_ document: Document) {
        code = document.code ?? ""
        message = document.message ?? ""
        region = document.region ?? region
    }

    private struct Wrapped: Decodable {
        var error: Document
    }

    private struct Document: Decodable {
        var code: String?
        var message: String?
        var region: String?
    }
}

extension XMLDecoder {
    /// A decoder for documents whose elements begin with capitals, as all of S3's do.
    static var capitalized: XMLDecoder {
        let decoder = XMLDecoder()
        decoder.keyDecodingStrategy = .convertFromCapitalized
        return decoder
    }
}
