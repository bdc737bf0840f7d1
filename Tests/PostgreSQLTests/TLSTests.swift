// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PostgreSQL
import TestSupport
import Testing

@Suite("PostgreSQL over TLS")
struct TLSTests {
    /// Lets nobody in over TCP but with TLS, a password and a certificate of the server's authority.
    private func demand(_ files: TestCertificates, of server: ThrowawayPostgreSQL) async throws {
        let data = "\(server.folder)/data"
        // The server reads only what is its own.
        let owner = try FileManager.default.attributesOfItem(atPath: data)
        for (from, to) in [(files.caFile, "ca.crt"), (files.certificateFile, "own.crt"), (files.keyFile, "own.key")] {
            try FileManager.default.copyItem(atPath: from, toPath: "\(data)/\(to)")
            try FileManager.default.setAttributes(
                [
                    .ownerAccountID: owner[.ownerAccountID] ?? 0,
                    .groupOwnerAccountID: owner[.groupOwnerAccountID] ?? 0,
                    .posixPermissions: 0o600,
                ], ofItemAtPath: "\(data)/\(to)")
        }
        try "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n".write(
            toFile: "\(data)/pg_hba.conf", atomically: false, encoding: .utf8)
        for (name, value) in [
            ("ssl_ca_file", "ca.crt"), ("ssl_cert_file", "own.crt"), ("ssl_key_file", "own.key"), ("ssl", "on"),
        ] {
            try await server.sql("ALTER SYSTEM SET \(name) = '\(value)'")
        }
        try await server.sql("SELECT pg_reload_conf()")
        for _ in 0..<200 {
            if try await server.sql("SHOW ssl") == "on" { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the server does not switch TLS on")
    }

    @Test("a server that demands it is captured and restored; a stranger's, or no certificate, is refused and told")
    func demanded() async throws {
        let folder = try TemporaryDirectory("tls")
        let files = try TestCertificates(in: folder.path)
        let strange = try TemporaryDirectory("tls")
        let stranger = try TestCertificates(in: strange.path)
        try await withServers(15) { servers in
            let server = servers[0]
            try await Sample.fill(server)
            try await demand(files, of: server)
            func adapter(_ mode: String, _ authority: String?, certificate: TestCertificates?) throws
                -> any SourceAdapter
            {
                var security = [("sslmode", mode)]
                if let authority { security.append(("sslrootcert", authority)) }
                if let certificate {
                    security += [("sslcert", certificate.certificateFile), ("sslkey", certificate.keyFile)]
                }
                return try Fixture.adapter(server, security: security)
            }
            let able = try adapter("verify-full", files.caFile, certificate: files)
            #expect(await able.preflight().filter { $0.state == .failed } == [])
            let captured = try await Captured(able)
            try await able.restoreWhole(captured.restore(include: ["app"], rename: "copy"))
            #expect(try await server.dump("app") == (try await server.dump("copy")))

            let clear = await failure { try await Captured(try adapter("disable", nil, certificate: nil)) }
            #expect(clear?.code == .sourceDenied, "\(String(describing: clear))")
            let bare = await failure {
                try await Captured(try adapter("verify-full", files.caFile, certificate: nil))
            }
            #expect(bare?.code == .sourceDenied, "\(String(describing: bare))")
            #expect(bare?.summary.contains("certificate") == true, "\(String(describing: bare))")
            let wrong = await failure {
                try await Captured(try adapter("verify-full", stranger.caFile, certificate: files))
            }
            #expect(wrong?.code == .sourceDenied)
            #expect(wrong?.summary.contains("certificate verify failed") == true, "\(String(describing: wrong))")
            #expect(wrong?.hint?.contains("sslrootcert") == true, "\(String(describing: wrong))")
        }
    }
}
