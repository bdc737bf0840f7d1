// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CCurl

extension HTTPClient {
    /// Connects to the server of `url`, through TLS where the URL asks for it, and hangs up without a request.
    ///
    /// - Returns: when the certificate that the server showed ends, in seconds since 1970; nil: it showed none.
    /// - Throws: `TransferError`; `CancellationError` when the task is cancelled.
    public static func connect(
        _ url: String, limits: HTTPRequest.Limits, route: HTTPRequest.Route
    ) async throws -> Int64? {
        do {
            return try await CancellationFlag.run { flag in
                try CurlHandle().connect(url, limits: limits, route: route, cancellation: flag)
            }
        } catch let error as TransferError where error.kind == .cancelled {
            throw CancellationError()
        }
    }
}

extension CurlHandle {
    fileprivate func connect(
        _ url: String, limits: HTTPRequest.Limits, route: HTTPRequest.Route, cancellation: CancellationFlag
    ) throws -> Int64? {
        let state = TransferState(
            body: UnsafeRawBufferPointer(start: nil, count: 0), limit: nil, cancellation: cancellation,
            maximumResponse: 0)
        return try withExtendedLifetime(state) {
            curl_easy_reset(handle)
            try withErrors(state) {
                try check(salvor_curl_set_text(handle, CURLOPT_URL, url))
                try check(salvor_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https"))
                try check(salvor_curl_set_long(handle, CURLOPT_CONNECT_ONLY, 1))
                try check(salvor_curl_set_long(handle, CURLOPT_CERTINFO, 1))
                try setLimits(limits, sending: 0)
                try setRoute(route)
                try setCallbacks(state)
            }
            return certificateEnd
        }
    }

    /// The first end of all certificates that the server showed: a chain is as short-lived as its weakest link.
    var certificateEnd: Int64? {
        guard let chain = salvor_curl_get_certificates(handle)?.pointee, let lists = chain.certinfo else { return nil }
        var first: Int64?
        for index in 0..<Int(chain.num_of_certs) {
            var item = lists[index]
            while let entry = item?.pointee {
                item = entry.next
                guard let text = entry.data.map({ String(cString: $0) }), text.hasPrefix("Expire date:"),
                    let end = CertificateDate.seconds(String(text.dropFirst(12)))
                else { continue }
                first = min(first ?? end, end)
            }
        }
        return first
    }
}

/// Dates as libcurl prints them from certificates.
enum CertificateDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `Nov 21 17:00:00 2026 GMT`, or `2026-11-21 17:00:00 GMT` of other TLS libraries; nil: something else.
    static func seconds(_ text: String) -> Int64? {
        let words = text.split(separator: " ")
        let (date, time): ((Int64, Int64, Int64), Substring)
        if words.count >= 4, let month = months.firstIndex(of: String(words[0])), let day = Int64(words[1]),
            let year = Int64(words[3])
        {
            (date, time) = ((year, Int64(month) + 1, day), words[2])
        } else if words.count >= 2 {
            let parts = words[0].split(separator: "-").compactMap { Int64($0) }
            guard parts.count == 3 else { return nil }
            (date, time) = ((parts[0], parts[1], parts[2]), words[1])
        } else {
            return nil
        }
        let clock = time.split(separator: ":").compactMap { Int64($0) }
        guard clock.count == 3, (1...12).contains(date.1), (1...31).contains(date.2) else { return nil }
        return days(date) * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    }

    /// Days since 1970 of a day of the Gregorian calendar (howardhinnant.github.io/date_algorithms.html).
    private static func days(_ date: (year: Int64, month: Int64, day: Int64)) -> Int64 {
        let year = date.month <= 2 ? date.year - 1 : date.year
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (date.month > 2 ? date.month - 3 : date.month + 9) + 2) / 5 + date.day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
