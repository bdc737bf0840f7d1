// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CCurl

/// SMTP (https://curl.se/libcurl/c/libcurl-tutorial.html, RFC 5321). libcurl doubles leading dots and ends the message.
extension CurlHandle {
    /// Sends one mail and blocks until its end; gives the server's last reply.
    func send(_ mail: MailRequest, cancellation: CancellationFlag) throws -> String {
        let recipients = try TextList(mail.recipients.map { "<\($0)>" })
        return try mail.message.withUnsafeBytes { message in
            let state = TransferState(
                body: message, limit: nil, cancellation: cancellation, maximumResponse: mail.limits.maximumResponse)
            return try withExtendedLifetime((state, recipients)) {
                try perform(mail, state) {
                    try check(salvor_curl_set_text(handle, CURLOPT_MAIL_FROM, "<\(mail.from)>"))
                    try check(salvor_curl_set_list(handle, CURLOPT_MAIL_RCPT, recipients.first))
                    try check(salvor_curl_set_long(handle, CURLOPT_UPLOAD, 1))
                    try check(salvor_curl_set_offset(handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(message.count)))
                }
                return state.lastReply
            }
        }
    }

    /// Connects, says EHLO, protects the connection, logs in and asks for nothing.
    func greet(_ mail: MailRequest, cancellation: CancellationFlag) throws -> Int64? {
        let state = TransferState(
            body: UnsafeRawBufferPointer(start: nil, count: 0), limit: nil, cancellation: cancellation,
            maximumResponse: mail.limits.maximumResponse)
        return try withExtendedLifetime(state) {
            try perform(mail, state) {
                try check(salvor_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, "NOOP"))
                try check(salvor_curl_set_long(handle, CURLOPT_NOBODY, 1))
            }
            return certificateEnd
        }
    }

    private func perform(_ mail: MailRequest, _ state: TransferState, setting own: () throws -> Void) throws {
        let lines = [mail.host, mail.helloName, mail.from, mail.login?.user ?? ""] + mail.recipients
        guard lines.allSatisfy({ line in line.utf8.allSatisfy { $0 > 32 && $0 != 127 } }) else {
            throw TransferError(.invalid, "an address or name for the mail server is not one word")
        }
        // The handle's next option must not meet one of an earlier transfer.
        curl_easy_reset(handle)
        do {
            try withErrors(state) {
                let scheme = mail.security == .implicit ? "smtps" : "smtp"
                // libcurl takes the path as the name to greet with.
                try check(
                    salvor_curl_set_text(handle, CURLOPT_URL, "\(scheme)://\(mail.host):\(mail.port)/\(mail.helloName)")
                )
                try check(salvor_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps"))
                if mail.security == .startTLS {
                    try check(salvor_curl_set_long(handle, CURLOPT_USE_SSL, Int(CURLUSESSL_ALL.rawValue)))
                }
                if let login = mail.login {
                    try check(salvor_curl_set_text(handle, CURLOPT_USERNAME, login.user))
                    try check(salvor_curl_set_text(handle, CURLOPT_PASSWORD, login.password))
                }
                try check(salvor_curl_set_long(handle, CURLOPT_CERTINFO, 1))
                try own()
                try setLimits(mail.limits, sending: mail.message.count)
                try setRoute(HTTPRequest.Route(caFile: mail.caFile, proxy: .none))
                try setCallbacks(state)
            }
        } catch let error as TransferError {
            throw named(error, state)
        }
    }

    /// The error with the server's own reply, where there was one that refuses.
    private func named(_ error: TransferError, _ state: TransferState) -> TransferError {
        guard let refusal = state.refusal else { return error }
        switch error.kind {
        case .denied, .tls: return TransferError(error.kind, refusal.line, replyCode: refusal.code)
        case .reset, .connect, .refused: return TransferError(.refused, refusal.line, replyCode: refusal.code)
        case .invalid, .resolve, .stalled, .shortBody, .tooLarge, .cancelled: return error
        }
    }
}

/// A list of texts as libcurl wants it, freed with its owner.
final class TextList {
    private(set) var first: UnsafeMutablePointer<curl_slist>?

    init(_ texts: [String]) throws {
        for text in texts {
            guard let list = curl_slist_append(first, text) else {
                throw TransferError(.invalid, "libcurl has no memory for a list")
            }
            first = list
        }
    }

    deinit {
        curl_slist_free_all(first)
    }
}
