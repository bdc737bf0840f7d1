// SPDX-License-Identifier: Apache-2.0
import CCurl

/// The libcurl that is loaded, and whether it may be used.
public enum TransferLibrary {
    /// The loaded library's version, such as `7.88.1`.
    public static var version: String {
        guard let text = salvor_curl_version()?.pointee.version else { return "unknown" }
        return String(cString: text)
    }

    /// Throws `.invalid` when the loaded library is older than the headers Salvor was built with (it may lack options that
    /// are relied on), cannot do TLS, or fails to start.
    public static func requireUsable() throws {
        if let problem { throw TransferError(.invalid, problem) }
    }

    /// Found once: `curl_global_init` must run before any handle is made, and once is enough
    /// (https://curl.se/libcurl/c/curl_global_init.html).
    private static let problem: String? = {
        let code = curl_global_init(Int(CURL_GLOBAL_ALL))
        guard code == CURLE_OK else { return "libcurl does not start: \(String(cString: curl_easy_strerror(code)))" }
        guard let info = salvor_curl_version()?.pointee else { return "libcurl tells no version" }
        return problem(
            loaded: info.version_num, builtWith: UInt32(LIBCURL_VERSION_NUM),
            hasTLS: info.features & Int32(CURL_VERSION_SSL) != 0)
    }()

    /// What is wrong with such a library; nil: nothing. Versions are `0xXXYYZZ`.
    static func problem(loaded: UInt32, builtWith: UInt32, hasTLS: Bool) -> String? {
        if loaded < builtWith {
            return "libcurl \(dotted(loaded)) is loaded, but salvor was built for \(dotted(builtWith)) or newer"
        }
        return hasTLS ? nil : "libcurl was built without TLS"
    }

    private static func dotted(_ number: UInt32) -> String {
        "\(number >> 16).\(number >> 8 & 255).\(number & 255)"
    }
}
