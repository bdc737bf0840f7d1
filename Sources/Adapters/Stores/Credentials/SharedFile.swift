// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// The AWS tools' shared files: sections in brackets with `name = value` lines
/// (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html).
struct SharedFile: Sendable {
    /// The names and values of each section.
    let sections: [String: [String: String]]

    /// Reads the file at `path`; an absent one has no sections.
    init(path: String) throws {
        try self.init(text: try Self.text(at: path), file: path)
    }

    private static func text(at path: String) throws -> String {
        guard FileManager.default.fileExists(atPath: path) else { return "" }
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw Failure(
                .storageNoCredentials, "\(path) cannot be read",
                hint: "Make it readable for the user that runs salvor, or remove it.")
        }
    }

    init(text: String, file: String) throws {
        var sections: [String: [String: String]] = [:]
        var section: String?
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.trimmingCharacters(in: .whitespaces)
            if words.isEmpty || words.hasPrefix("#") || words.hasPrefix(";") { continue }
            if words.hasPrefix("[") {
                guard let end = words.firstIndex(of: "]") else { throw Self.unreadable(file, index) }
                section = words[words.index(after: words.startIndex)..<end].trimmingCharacters(in: .whitespaces)
                continue
            }
            // Indented lines belong to a nested value such as `s3 =`, which has nothing for us.
            if line.first?.isWhitespace == true { continue }
            guard let section, let equals = words.firstIndex(of: "=") else { throw Self.unreadable(file, index) }
            let name = words[..<equals].trimmingCharacters(in: .whitespaces).lowercased()
            let value = words[words.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            sections[section, default: [:]][name] = value
        }
        self.sections = sections
    }

    /// The line itself is not shown: it may hold a secret.
    private static func unreadable(_ file: String, _ index: Int) -> Failure {
        Failure(
            .storageNoCredentials, "\(file):\(index + 1) is neither a [section] nor 'name = value'",
            hint: "Correct that line.")
    }
}

/// Where the shared files are and which profile of them counts.
struct SharedProfile: Sendable {
    /// The profile's name.
    let name: String
    /// Whether somebody asked for it by name, so that its absence is an error.
    let isNamed: Bool
    let credentialsFile: String
    let configFile: String

    init(profile: String?, environment: [String: String]) {
        let named = profile ?? environment.nonEmpty("AWS_PROFILE")
        name = named ?? "default"
        isNamed = named != nil
        let home = environment.nonEmpty("HOME") ?? NSHomeDirectory()
        credentialsFile = environment.nonEmpty("AWS_SHARED_CREDENTIALS_FILE") ?? "\(home)/.aws/credentials"
        configFile = environment.nonEmpty("AWS_CONFIG_FILE") ?? "\(home)/.aws/config"
    }

    /// The profile's settings, those in the credentials file before those in the config file; nil when neither has it.
    func settings() throws -> [String: String]? {
        let secret = try SharedFile(path: credentialsFile).sections[name]
        let config = try SharedFile(path: configFile).sections
        // In the config file, sections are called `profile NAME`, but for the default one.
        let general = config["profile \(name)"] ?? (name == "default" ? config["default"] : nil)
        guard secret != nil || general != nil else {
            guard isNamed else { return nil }
            throw Failure(
                .storageNoCredentials, "profile '\(name)' is neither in \(credentialsFile) nor in \(configFile)",
                hint: "Correct repository.s3.profile or AWS_PROFILE, or add the profile.")
        }
        return (general ?? [:]).merging(secret ?? [:]) { _, secret in secret }
    }
}
