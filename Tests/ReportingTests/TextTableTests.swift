// SPDX-License-Identifier: Apache-2.0
import Reporting
import Testing

@Suite("Tables")
struct TextTableTests {
    private func bundles(_ comment: String) -> TextTable {
        var table = TextTable([
            .init("BUNDLE"), .init("STATE"), .init("STORED", .right), .init("COMMENT", narrowest: 7),
        ])
        table.add(["20261121T020003Z-nightly-k3f9qz", "complete", "12.3 MiB", comment])
        table.add(["20261122T020001Z-nightly-a81xk2", "partial", "2.1 MiB"])
        return table
    }

    @Test("columns are aligned and lines have no blanks at their end")
    func aligned() {
        #expect(
            bundles("before the upgrade").text() == """
                BUNDLE                           STATE       STORED  COMMENT
                20261121T020003Z-nightly-k3f9qz  complete  12.3 MiB  before the upgrade
                20261122T020001Z-nightly-a81xk2  partial    2.1 MiB

                """)
    }

    @Test("what is too long for 80 characters is cut with an ellipsis")
    func cut() {
        let text = bundles("before the upgrade of the application to its new major version").text()
        let lines = text.split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 80 })
        #expect(
            lines[1] == "20261121T020003Z-nightly-k3f9qz  complete  12.3 MiB  before the upgrade of the …")
    }

    @Test("a table fits every width its narrowest columns allow", arguments: 63...120)
    func widths(_ width: Int) {
        let text = bundles(String(repeating: "x", count: 90)).text(width: width)
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= width })
    }

    @Test("control characters in names are printed, not obeyed")
    func controls() {
        var table = TextTable([.init("NAME")])
        table.add(["a\u{1B}[2Jb\n\u{202E}c"])
        #expect(table.text() == "NAME\na\\x1b[2Jb\\x0a\\x202ec\n")
    }

    @Test("a table without rows has its titles")
    func empty() {
        #expect(TextTable([.init("A"), .init("B", .right)]).text() == "A  B\n")
        #expect(PrintableText.cut("abc", to: 0).isEmpty)
    }
}
