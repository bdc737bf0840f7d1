// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Testing

/// docs/errors.md against the codes that the source defines.
@Suite("The page of errors")
struct ErrorsPageTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func page() throws -> String {
        try String(contentsOf: Self.root.appendingPathComponent("docs/errors.md"), encoding: .utf8)
    }

    /// Every `Code("text", .status)` of the source.
    private func codes() throws -> [String: String] {
        let sources = Self.root.appendingPathComponent("Sources")
        let files = try #require(FileManager.default.enumerator(atPath: sources.path))
        var codes: [String: String] = [:]
        for case let name as String in files where name.hasSuffix(".swift") {
            let text = try String(contentsOf: sources.appendingPathComponent(name), encoding: .utf8)
            for match in text.matches(of: /Code\(\s*"([a-z.\-]+)",\s*\.([A-Za-z]+)\)/) {
                codes[String(match.1)] = String(match.2)
            }
        }
        return codes
    }

    @Test("every code is listed with its exit status, and nothing else is")
    func everyCode() throws {
        let statuses = Dictionary(ExitStatus.allCases.map { ("\($0)", $0.rawValue) }) { first, _ in first }
        var listed: [String: Int32] = [:]
        for match in try page().matches(of: /\n\| `([a-z.\-]+)` \| ([0-9]+) \|/) {
            let code = String(match.1)
            #expect(listed[code] == nil, "\(code) is listed twice")
            listed[code] = Int32(match.2)
        }
        let codes = try codes()
        #expect(codes.count > 40)
        #expect(Set(codes.keys) == Set(listed.keys))
        for (code, status) in codes { #expect(listed[code] == statuses[status], "\(code)") }
    }

    @Test("every exit status is listed")
    func everyStatus() throws {
        let listed = try page().matches(of: #/\n\| ([0-9]+) \| /#).compactMap { Int32($0.1) }
        #expect(listed == ExitStatus.allCases.map(\.rawValue))
    }

    /// All of the tests' source but this file.
    private func tests() throws -> String {
        let folder = Self.root.appendingPathComponent("Tests")
        let files = try #require(FileManager.default.enumerator(atPath: folder.path))
        var text = ""
        for case let name as String in files where name.hasSuffix(".swift") && !name.hasSuffix("ErrorsPageTests.swift")
        {
            text += try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
        }
        return text
    }

    @Test("every code but that of unforeseen errors is expected by some test, by its text or its name")
    func everyCodeIsProduced() throws {
        // Failures that a test makes itself prove nothing.
        let tests = try tests().replacing(/Failure\(\s*\.[A-Za-z]+/, with: "").replacing("\\\"", with: "\"")
        let declarations =
            try String(
                contentsOf: Self.root.appendingPathComponent("Sources/Core/Domain/Failure.swift"), encoding: .utf8)
            + String(
                contentsOf: Self.root.appendingPathComponent("Sources/Core/Domain/StoreProbe.swift"), encoding: .utf8)
        let names = Dictionary(
            declarations.matches(of: /static let ([A-Za-z]+) = (?:Failure\.)?Code\("([a-z.\-]+)"/)
                .map { (String($0.2), String($0.1)) }
        ) { first, _ in first }
        let words = Set(tests.matches(of: /\.([a-z][A-Za-z]+)/).map { String($0.1) })
        for code in try codes().keys where code != "internal" {
            let isNamed = names[code].map(words.contains) ?? false
            #expect(isNamed || tests.contains("\"\(code)\""), "no test expects \(code)")
        }
    }

    @Test("every suite that the threat model names as its witness is there")
    func threatModel() throws {
        let page = try String(contentsOf: Self.root.appendingPathComponent("docs/threat-model.md"), encoding: .utf8)
        let tests = try tests()
        let claims = page.components(separatedBy: "Shown by:").dropFirst()
        #expect(claims.count >= 7)
        var witnesses = 0
        for claim in claims {
            // To the end of the paragraph or list item.
            let ends = [claim.range(of: "\n\n"), claim.range(of: "\n- ")].compactMap { $0?.lowerBound }
            let text = claim[..<(ends.min() ?? claim.endIndex)]
            let named = text.matches(of: /"([^"]+)"/).map {
                $0.1.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            }
            #expect(!named.isEmpty, "no suite in: \(text.prefix(80))")
            for suite in named { #expect(tests.contains("@Suite(\"\(suite)\""), "there is no suite '\(suite)'") }
            witnesses += named.count
        }
        #expect(witnesses >= 12)
    }
}
