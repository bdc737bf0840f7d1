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
}
