// SPDX-License-Identifier: Apache-2.0
import CCurl

/// The place that a transfer connects to instead of its URL's (https://curl.se/libcurl/c/CURLOPT_CONNECT_TO.html), in
/// libcurl's own form; libcurl reads it until the transfer ends.
final class ConnectTarget {
    let first: UnsafeMutablePointer<curl_slist>

    init(_ place: HTTPRequest.Place) throws {
        let host = place.host.contains(":") ? "[\(place.host)]" : place.host
        // Empty fields: whatever host and port the URL has.
        guard let list = curl_slist_append(nil, "::\(host):\(place.port)") else {
            throw TransferError(.invalid, "libcurl has no memory for an address")
        }
        first = list
    }

    deinit {
        curl_slist_free_all(first)
    }
}
