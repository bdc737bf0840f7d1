// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MariaDB

@Suite("MariaDB: what is counted in a dump")
struct DumpScannerTests {
    private func scan(_ text: String, pieces: Int) throws -> DumpScanner {
        var scanner = DumpScanner()
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            try bytes[start..<min(start + pieces, bytes.count)].withUnsafeBytes { try scanner.take($0) }
        }
        return scanner
    }

    private let dump = """
        /*M!999999\\- enable the sandbox mode */
        -- Host: localhost    Database: it's
        -- MariaDB dump 10.19; INSERT INTO `no` VALUES (1);
        /*!40101 SET NAMES utf8mb4 */;
        CREATE TABLE `a;``b` (
          `x` int DEFAULT NULL COMMENT 'it''s; \\' (',
          `VALUES(` text
        );
        INSERT INTO `a;``b` (`x`, `VALUES(`) VALUES
        (1,'a;)\\'(,'),
        (2,NULL);
        INSERT INTO `a;``b` VALUES (3,_binary '\\\\'),(4,0xFF);
        INSERT INTO `empty` VALUES ();
        -- Dump completed
        """

    @Test("rows are counted whatever stands in them, and however the text is cut into pieces")
    func counts() throws {
        let whole = try scan(dump, pieces: 1 << 20)
        #expect(whole.tables["a;`b"]?.rows == 4)
        #expect(whole.tables["empty"]?.rows == 1)
        #expect(whole.tables["no"] == nil)
        #expect(whole.isComplete)
        for pieces in [1, 2, 3, 7, 64] { #expect(try scan(dump, pieces: pieces).tables == whole.tables) }
    }

    @Test("the digest does not depend on the order of rows or how they are packed, and on everything else")
    func digests() throws {
        func digest(_ rows: String) throws -> DumpScanner.Table? { try scan(rows, pieces: 64).tables["t"] }
        let base = try digest("INSERT INTO `t` VALUES (1,'a'),(2,'b');")
        #expect(try digest("INSERT INTO `t` VALUES (2,'b');\nINSERT INTO `t` VALUES\n(1,'a');\n") == base)
        #expect(try digest("INSERT INTO `t` VALUES (1,'b'),(2,'a');") != base)
        #expect(try digest("INSERT INTO `t` VALUES (1,'a'),(2,'b'),(2,'b');") != base)
        #expect(try digest("INSERT INTO `t` VALUES (1,'a'),(2,NULL);") != base)
    }

    @Test("text that ends within a statement is not complete")
    func cut() throws {
        for end in [40, 90, 140, 200, 260] where end < dump.utf8.count {
            let part = String(decoding: Array(dump.utf8)[..<end], as: UTF8.self)
            let scanner = try scan(part, pieces: 64)
            if scanner.isComplete { #expect(part.last == "\n" || part.last == ";" || part.contains("-- ")) }
        }
        #expect(try !scan("INSERT INTO `t` VALUES (1,'a", pieces: 64).isComplete)
    }
}
