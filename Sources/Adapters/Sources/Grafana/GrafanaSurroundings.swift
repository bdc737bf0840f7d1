// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// What of a Grafana is neither in its database nor in its provisioning. Calls block.
enum GrafanaSurroundings {
    /// Plugins as `id version`, by the `plugin.json` of each (https://grafana.com/developers/plugin-tools).
    static func plugins(_ folder: String) -> [String] {
        struct Manifest: Decodable {
            struct Info: Decodable { var version: String? }
            var id: String
            var info: Info?
        }
        // A Grafana without plugins has no such folder.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.compactMap { name in
            ["\(folder)/\(name)/plugin.json", "\(folder)/\(name)/dist/plugin.json"].lazy.compactMap { path in
                FileManager.default.contents(atPath: path)
            }.first.flatMap { data in
                // What is no plugin is not listed.
                (try? JSONDecoder().decode(Manifest.self, from: data)).map { "\($0.id) \($0.info?.version ?? "?")" }
            }
        }.sorted()
    }

    /// Where the key comes from that encrypts passwords in the database.
    enum SecretKey: String, Sendable {
        /// `secret_key` in the `[security]` section of grafana.ini.
        case configured
        /// The one that everybody's Grafana has.
        case standard
        /// grafana.ini is not known, or the variable `GF_SECURITY_SECRET_KEY` may override it.
        case unknown
    }

    static func secretKey(_ configuration: String?) -> SecretKey {
        guard let configuration, let data = FileManager.default.contents(atPath: configuration) else { return .unknown }
        var section = ""
        for line in String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let text = line.trimmingCharacters(in: .whitespaces)
            if text.hasPrefix("["), text.hasSuffix("]") {
                section = String(text.dropFirst().dropLast())
            } else if section == "security", !text.hasPrefix(";"), !text.hasPrefix("#") {
                let parts = text.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                if parts.first == "secret_key" {
                    return parts.count == 2 && !parts[1].isEmpty ? .configured : .standard
                }
            }
        }
        return .standard
    }
}
