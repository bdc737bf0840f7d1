// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A certificate authority of the test's own and a server certificate for `localhost`, `*.s3.localhost` and 127.0.0.1,
/// made with the `openssl` command.
public struct TestCertificates: Sendable {
    public let caFile: String
    public let certificateFile: String
    public let keyFile: String

    /// Makes the files in `directory`.
    public init(in directory: String) throws {
        caFile = "\(directory)/ca.crt"
        certificateFile = "\(directory)/server.crt"
        keyFile = "\(directory)/server.key"
        let names = "subjectAltName=DNS:localhost,DNS:s3.localhost,DNS:*.s3.localhost,IP:127.0.0.1"
        try "\(names)\nextendedKeyUsage=serverAuth,clientAuth\n".write(
            toFile: "\(directory)/extensions", atomically: true, encoding: .utf8)
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        try ShortCommand.run(
            "openssl",
            ["req", "-x509"] + curve + [
                "-keyout", "\(directory)/ca.key", "-out", caFile, "-subj", "/CN=test authority", "-days", "30",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
            ])
        try ShortCommand.run(
            "openssl",
            ["req"] + curve + [
                "-keyout", keyFile, "-out", "\(directory)/server.csr", "-subj", "/CN=localhost",
            ])
        try ShortCommand.run(
            "openssl",
            [
                "x509", "-req", "-in", "\(directory)/server.csr", "-CA", caFile, "-CAkey", "\(directory)/ca.key",
                "-CAcreateserial", "-days", "30", "-extfile", "\(directory)/extensions", "-out", certificateFile,
            ])
    }
}
