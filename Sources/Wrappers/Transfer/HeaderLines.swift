// SPDX-License-Identifier: Apache-2.0
import CCurl

/// Header fields as the list libcurl wants, freed with its owner.
final class HeaderLines {
    private(set) var first: UnsafeMutablePointer<curl_slist>?

    /// Refuses fields that would smuggle in another line.
    init(_ headers: [HTTPHeader], hasBody: Bool, asksFirst: Bool = true) throws {
        for field in headers {
            guard !field.name.isEmpty, Self.isOneLine(field.name), Self.isOneLine(field.value) else {
                throw TransferError(.invalid, "the header field '\(field.name)' is not one line")
            }
            // libcurl takes "name:" as "leave it out" and "name;" as "send it empty".
            try append(field.value.isEmpty ? "\(field.name);" : "\(field.name): \(field.value)")
        }
        if hasBody, !headers.contains(where: { $0.name.lowercased() == "transfer-encoding" }) {
            // libcurl must announce the length it was given, never fall back to chunks.
            try append("Transfer-Encoding:")
        }
        if hasBody, !asksFirst { try append("Expect:") }
    }

    deinit {
        curl_slist_free_all(first)
    }

    private func append(_ line: String) throws {
        guard let list = curl_slist_append(first, line) else {
            throw TransferError(.invalid, "libcurl has no memory for a header field")
        }
        first = list
    }

    private static func isOneLine(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 != 13 && $0 != 10 && $0 != 0 }
    }
}
