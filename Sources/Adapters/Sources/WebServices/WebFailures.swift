// SPDX-License-Identifier: Apache-2.0
public import Domain
import Transfer

extension WebConnection {
    /// What an answer that was not asked for amounts to.
    public func failure(_ reply: WebReply, _ step: String) -> Failure {
        let words = redacting(reply.complaint)
        let summary = "\(name): \(step): answered \(reply.status)" + (words.isEmpty ? "" : " (\(words))")
        switch reply.status {
        case 401, 403:
            return Failure(
                .sourceDenied, summary,
                hint: "Check the key or user in 'connection' and its rights; the adapter's page lists the least.")
        case 413:
            return Failure(.sourceFailed, summary, hint: "Raise the server's limit on the size of a request.")
        case 429:
            return Failure(.sourceFailed, summary, hint: "The server asks for fewer requests: try again later.")
        case 507:
            return Failure(.sourceFailed, summary, hint: "Make room on the server's disk.")
        case 500...:
            return Failure(.sourceFailed, summary, hint: "Look in the server's log, then try again.")
        default:
            return Failure(
                .sourceFailed, summary, hint: "Look whether 'connection' points at \(system) and its version is known.")
        }
    }

    /// What a broken transfer amounts to.
    func failure(_ error: TransferError, _ step: String) -> Failure {
        let summary = "\(name): \(step): \(redacting(error.detail))"
        switch error.kind {
        case .resolve, .connect:
            return Failure(
                .sourceUnreachable, summary, hint: "Check 'connection' of the source, and that the server runs.")
        case .tls:
            return Failure(
                .sourceUnreachable, summary, hint: "Check the server's certificate and 'connection.ca-file'.")
        case .stalled:
            return Failure(.sourceFailed, summary, hint: "Raise 'timeout' of the source if the server is only slow.")
        case .tooLarge:
            return Failure(.sourceFailed, summary, hint: "Ask for less at once: lower 'page-size'.")
        default:
            return Failure(
                .sourceFailed, summary, hint: "Look in the server's log and at what lies between, then try again.")
        }
    }

    /// A text of the server's without the key, which some repeat.
    public func redacting(_ text: String) -> String {
        guard let secret, !secret.isEmpty else { return text }
        var result = ""
        var rest = text[...]
        while let start = rest.firstIndex(where: { _ in true }) {
            if rest.hasPrefix(secret) {
                result += "<redacted>"
                rest = rest.dropFirst(secret.count)
            } else {
                result.append(rest[start])
                rest = rest.dropFirst()
            }
        }
        return result
    }
}
