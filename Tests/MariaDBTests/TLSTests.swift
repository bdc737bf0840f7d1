// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@Suite("MariaDB over TLS")
struct TLSTests {
    @Test(
        "an account that demands a certificate is served with one; a stranger's authority and no certificate are told")
    func demanded() async throws {
        let (folder, strange) = (try TemporaryDirectory("tls"), try TemporaryDirectory("tls"))
        let (files, stranger) = (try TestCertificates(in: folder.path), try TestCertificates(in: strange.path))
        // The server runs as somebody else and has to read them.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.path)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: files.keyFile)
        let server = try await ThrowawayMariaDB.start([
            "--ssl-ca=\(files.caFile)", "--ssl-cert=\(files.certificateFile)", "--ssl-key=\(files.keyFile)",
        ])
        try await MariaDBFixture.fill(server)
        try await server.sql(
            """
            CREATE USER strict@'%' IDENTIFIED BY 'strict-secret' REQUIRE X509;
            GRANT ALL ON *.* TO strict@'%' WITH GRANT OPTION;
            """)
        func adapter(_ authority: String, certificate: Bool) throws -> any SourceAdapter {
            let own = certificate ? [("certificate-file", files.certificateFile), ("key-file", files.keyFile)] : []
            return try MariaDBFixture.adapter(
                server, user: "strict", password: "strict-secret",
                tls: [("mode", "verify"), ("ca-file", authority)] + own)
        }
        let able = try adapter(files.caFile, certificate: true)
        #expect(await able.preflight().filter { $0.state == .failed } == [])
        let before = try await MariaDBFixture.describe(server)
        let captured = try await CapturedSource(able)
        try await server.sql("DELETE FROM app.orders")
        try await able.restoreWhole(captured.restore())
        #expect(try await MariaDBFixture.describe(server) == before)

        let bare = await thrownFailure { try await CapturedSource(try adapter(files.caFile, certificate: false)) }
        #expect(bare?.code == .sourceDenied, "\(String(describing: bare))")
        let wrong = await thrownFailure { try await CapturedSource(try adapter(stranger.caFile, certificate: true)) }
        #expect(wrong?.code == .sourceDenied, "\(String(describing: wrong))")
        #expect(wrong?.hint?.contains("tls.ca-file") == true, "\(String(describing: wrong))")
        try await server.stop()
    }
}
