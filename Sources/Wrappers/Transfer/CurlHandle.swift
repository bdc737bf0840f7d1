// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CCurl

/// One libcurl easy handle, freed with its owner. It may move between threads, but only one may use it at a time
/// (https://curl.se/libcurl/c/threadsafe.html); the pool in `HTTPClient` gives it to one transfer at a time.
final class CurlHandle: @unchecked Sendable {
    let handle: UnsafeMutableRawPointer

    init() throws {
        try TransferLibrary.requireUsable()
        guard let handle = curl_easy_init() else { throw TransferError(.invalid, "libcurl gives no handle") }
        self.handle = handle
    }

    deinit {
        curl_easy_cleanup(handle)
    }

    /// Performs one request and blocks until its end.
    ///
    /// - Parameters:
    ///   - feed: where the body comes from, instead of the request's own.
    ///   - output: takes the body of a reply with a status of success, part by part; nil: it is kept in memory.
    func perform(
        _ request: HTTPRequest, limit: UploadLimit?, cancellation: CancellationFlag, feed: UploadFeed? = nil,
        output: TransferState.Output? = nil
    ) throws -> HTTPResponse {
        try (request.body ?? []).withUnsafeBytes { body in
            let state = TransferState(
                body: body, limit: limit, cancellation: cancellation, maximumResponse: request.limits.maximumResponse,
                feed: feed, output: output)
            return try withExtendedLifetime(state) {
                // Keeps connections, names and TLS sessions; forgets every option, so nothing leaks between requests.
                curl_easy_reset(handle)
                let length = feed.map(\.length) ?? request.body.map { UInt64($0.count) }
                // A body of unknown length goes in chunks, the last of which tells the server that it was all.
                let chunks = feed != nil && length == nil ? [HTTPHeader("Transfer-Encoding", "chunked")] : []
                let lines = try HeaderLines(
                    request.headers + chunks, hasBody: feed != nil || length != nil, asksFirst: request.asksFirst)
                let target = try request.route.connectTo.map { try ConnectTarget($0) }
                return try withExtendedLifetime((lines, target)) {
                    try perform(request, length: length, isChunked: !chunks.isEmpty, state, lines, target)
                }
            }
        }
    }

    private func perform(
        _ request: HTTPRequest, length: UInt64?, isChunked: Bool, _ state: TransferState, _ lines: HeaderLines,
        _ target: ConnectTarget?
    ) throws -> HTTPResponse {
        try withErrors(state) {
            try setMessage(request, length: length.map { Int64(clamping: $0) } ?? (isChunked ? -1 : nil), lines: lines)
            try setLimits(request.limits, sending: Int(clamping: length ?? 0))
            try setRoute(request.route)
            if let target { try check(salvor_curl_set_list(handle, CURLOPT_CONNECT_TO, target.first)) }
            try setCallbacks(state)
        }
        var status = 0
        try check(salvor_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status))
        let hasNoBody = request.method == "HEAD" || status == 204 || status == 304
        guard hasNoBody || state.hasDelimitedBody else {
            throw TransferError(.shortBody, "the reply (status \(status)) does not say how long it is")
        }
        if let announced = state.announcedLength, announced != state.handedOver, state.handsOver, !hasNoBody {
            throw TransferError(.shortBody, "\(announced) bytes were announced and \(state.handedOver) arrived")
        }
        return HTTPResponse(
            status: status, headers: state.headers, body: state.received, handedOver: state.handedOver)
    }

    /// Sets options, then performs, with a buffer for libcurl's own words about what goes wrong.
    func withErrors(_ state: TransferState, setting options: () throws -> Void) throws {
        let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        defer {
            // The handle outlives the buffer: it must not keep a pointer to it.
            _ = salvor_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, nil)
            message.deallocate()
        }
        try check(salvor_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, message))
        try options()
        let code = curl_easy_perform(handle)
        guard code == CURLE_OK else {
            // Whoever takes the bytes knows better why it stopped than libcurl does.
            if let error = state.outputError { throw error }
            throw failure(code, String(cString: message), state: state)
        }
    }

    /// - Parameter length: of the body; -1: unknown; nil: there is none.
    private func setMessage(_ request: HTTPRequest, length: Int64?, lines: HeaderLines) throws {
        try check(salvor_curl_set_text(handle, CURLOPT_URL, request.url))
        try check(salvor_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https"))
        // One request for each connection at a time: large bodies gain nothing from sharing one.
        try check(salvor_curl_set_long(handle, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1)))
        // Otherwise libcurl would shorten paths with dots in them, and signatures would not match.
        try check(salvor_curl_set_long(handle, CURLOPT_PATH_AS_IS, 1))
        if request.method == "HEAD" {
            try check(salvor_curl_set_long(handle, CURLOPT_NOBODY, 1))
        } else if let length {
            try check(salvor_curl_set_long(handle, CURLOPT_UPLOAD, 1))
            try check(salvor_curl_set_offset(handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(length)))
            try check(salvor_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method))
        } else if request.method != "GET" {
            try check(salvor_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method))
        }
        try check(salvor_curl_set_list(handle, CURLOPT_HTTPHEADER, lines.first))
        if request.isSentOnce { try check(salvor_curl_set_long(handle, CURLOPT_FRESH_CONNECT, 1)) }
        // A server that knows no 100-continue costs this long for each large body, not libcurl's whole second.
        try check(salvor_curl_set_long(handle, CURLOPT_EXPECT_100_TIMEOUT_MS, 300))
    }

    func setLimits(_ limits: HTTPRequest.Limits, sending count: Int) throws {
        // No signals: they would hit whichever thread happens to run.
        try check(salvor_curl_set_long(handle, CURLOPT_NOSIGNAL, 1))
        try check(salvor_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, Int(limits.connectSeconds * 1000)))
        try check(salvor_curl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1))
        try check(salvor_curl_set_long(handle, CURLOPT_LOW_SPEED_TIME, limits.stallSeconds))
        if let seconds = limits.totalSeconds {
            try check(salvor_curl_set_long(handle, CURLOPT_TIMEOUT_MS, Int(seconds * 1000)))
        }
        // Fewer, larger reads and writes: half the system calls of the default sizes.
        try check(salvor_curl_set_long(handle, CURLOPT_BUFFERSIZE, 256 << 10))
        if count > 64 << 10 {
            try check(salvor_curl_set_long(handle, CURLOPT_UPLOAD_BUFFERSIZE, 256 << 10))
        }
    }

    func setRoute(_ route: HTTPRequest.Route) throws {
        if let caFile = route.caFile {
            try check(salvor_curl_set_text(handle, CURLOPT_CAINFO, caFile))
            // The system's folder of authorities is a default of its own: "instead of" means without it too.
            try check(salvor_curl_set_text(handle, CURLOPT_CAPATH, nil))
        }
        switch route.proxy {
        case .environment: break
        case .none: try check(salvor_curl_set_text(handle, CURLOPT_PROXY, ""))
        case .url(let url):
            try check(salvor_curl_set_text(handle, CURLOPT_PROXY, url))
            try check(salvor_curl_set_text(handle, CURLOPT_NOPROXY, ""))
        }
    }

    func setCallbacks(_ state: TransferState) throws {
        let context = Unmanaged.passUnretained(state).toOpaque()
        try check(salvor_curl_set_data_callback(handle, CURLOPT_READFUNCTION, TransferState.read))
        try check(salvor_curl_set_pointer(handle, CURLOPT_READDATA, context))
        try check(salvor_curl_set_seek_callback(handle, TransferState.seek))
        try check(salvor_curl_set_pointer(handle, CURLOPT_SEEKDATA, context))
        try check(salvor_curl_set_data_callback(handle, CURLOPT_WRITEFUNCTION, TransferState.write))
        try check(salvor_curl_set_pointer(handle, CURLOPT_WRITEDATA, context))
        try check(salvor_curl_set_data_callback(handle, CURLOPT_HEADERFUNCTION, TransferState.header))
        try check(salvor_curl_set_pointer(handle, CURLOPT_HEADERDATA, context))
        try check(salvor_curl_set_progress_callback(handle, TransferState.progress))
        try check(salvor_curl_set_pointer(handle, CURLOPT_XFERINFODATA, context))
        try check(salvor_curl_set_long(handle, CURLOPT_NOPROGRESS, 0))
    }

    func check(_ code: CURLcode) throws {
        guard code == CURLE_OK else {
            throw TransferError(.invalid, "libcurl refuses an option: \(String(cString: curl_easy_strerror(code)))")
        }
    }

    private func failure(_ code: CURLcode, _ message: String, state: TransferState) -> TransferError {
        let detail = message.isEmpty ? String(cString: curl_easy_strerror(code)) : message
        if state.isTooLarge { return TransferError(.tooLarge, "the reply is larger than allowed") }
        var connected: curl_off_t = 0
        // Without the time there is only less to tell apart; the error itself is thrown in any case.
        _ = salvor_curl_get_offset(handle, CURLINFO_PRETRANSFER_TIME_T, &connected)
        return TransferError(TransferError.Kind(code, detail: detail, wasConnected: connected > 0), detail)
    }
}

extension TransferError.Kind {
    /// What one of libcurl's codes means here (https://curl.se/libcurl/c/libcurl-errors.html).
    init(_ code: CURLcode, detail: String, wasConnected: Bool) {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: self = .resolve
        case CURLE_COULDNT_CONNECT, CURLE_PROXY, CURLE_INTERFACE_FAILED: self = .connect
        case CURLE_OPERATION_TIMEDOUT: self = wasConnected ? .stalled : .connect
        case CURLE_SSL_CONNECT_ERROR:
            // A connection that breaks during the handshake comes with the same code as a refused certificate.
            let broke = detail.contains("reset by peer") || detail.contains("SSL_ERROR_SYSCALL")
            self = broke ? .connect : .tls
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CRL_BADFILE, CURLE_SSL_INVALIDCERTSTATUS:
            self = .tls
        case CURLE_USE_SSL_FAILED: self = .tls
        case CURLE_LOGIN_DENIED: self = .denied
        case CURLE_PARTIAL_FILE: self = .shortBody
        case CURLE_ABORTED_BY_CALLBACK, CURLE_READ_ERROR: self = .cancelled
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_FAILED_INIT, CURLE_NOT_BUILT_IN,
            CURLE_OUT_OF_MEMORY, CURLE_BAD_FUNCTION_ARGUMENT, CURLE_UNKNOWN_OPTION:
            self = .invalid
        default: self = wasConnected ? .reset : .connect
        }
    }
}
