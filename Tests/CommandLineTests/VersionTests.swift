// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Versions of the libraries")
struct VersionTests {
    @Test("--version names salvor, the format and every C library with the version that is loaded")
    func shown() async throws {
        let outcome = try await SalvorProcess([:]).run(["--version"])
        #expect(outcome.status == 0)
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.first?.hasPrefix("salvor ") == true && lines.first?.contains("repository format") == true)
        for (library, package) in [
            ("libzstd", "libzstd"), ("gpgme", "gpgme"), ("libcurl", "libcurl"), ("libarchive", "libarchive"),
            ("sqlite", "sqlite3"),
        ] {
            // The development files are those of the library that is installed.
            let installed = try await StockProgram.run("pkg-config", ["--modversion", package]).text
                .trimmingCharacters(in: .newlines)
            #expect(
                lines.contains { $0.hasPrefix("  \(library) \(installed)") },
                "\(library) \(installed): \(outcome.output)")
        }
    }

    @Test(
        "with a library older than it was built for, salvor does nothing but say which",
        arguments: [
            ("libarchive", "int archive_version_number(void) { return 3001002; }"),
            ("sqlite", "int sqlite3_libversion_number(void) { return 3007017; }"),
            ("libzstd", "unsigned ZSTD_versionNumber(void) { return 10001; }"),
        ])
    func older(library: String, code: String) async throws {
        let folder = try TemporaryDirectory("older")
        try folder.write("older.c", code)
        let built = try await StockProgram.run("cc", ["-shared", "-fPIC", "-o", folder("older.so"), folder("older.c")])
        try #require(built.status == 0, "\(built.errors)")
        let salvor = SalvorProcess(["LD_PRELOAD": folder("older.so")])
        for arguments in [["--version"], ["list-backups"]] {
            let outcome = try await salvor.run(arguments)
            #expect(outcome.status == 4, "\(outcome)")
            #expect(outcome.output.isEmpty)
            #expect(outcome.errors.contains(library) && outcome.errors.contains("built for"), "\(outcome.errors)")
            #expect(outcome.errors.contains("Install a newer"), "\(outcome.errors)")
        }
    }
}
