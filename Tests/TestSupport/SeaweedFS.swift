// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A real SeaweedFS with its S3 gateway, plain and with TLS, started once for the whole test process and stopped when the
/// process ends, however it ends.
///
/// The program `weed` is found in `SALVOR_TEST_WEED`, in PATH, or where `scripts/install-test-tools` puts it.
public final class SeaweedFS: Sendable {
    /// The plain endpoint.
    public let plain: S3Endpoint
    /// The same server with a certificate of its own authority.
    public let tls: S3Endpoint
    /// A user who may read and list but not write.
    public let readOnly: (accessKey: String, secretKey: String)
    /// A user who may put objects, and neither read, list nor delete.
    public let putOnly: (accessKey: String, secretKey: String)

    /// Ends the server when it is closed, as the operating system does when this process ends.
    private let lifeline: FileHandle
    private let directory: TemporaryDirectory

    /// The server shared by all tests of this process.
    public static func shared() async throws -> SeaweedFS { try await starting.value }

    private static let starting = Task { try await start() }

    private static func start() async throws -> SeaweedFS {
        let program = try TestTool.find("weed", variable: "SALVOR_TEST_WEED")
        // Somebody else may take a port between the look and the start: then it is tried again with others.
        var last: (any Error)?
        for _ in 0..<3 {
            do { return try await SeaweedFS(program: program) } catch { last = error }
        }
        throw last ?? ShortCommand.Failed(description: "weed did not start")
    }

    private init(program: String) async throws {
        directory = try TemporaryDirectory("weed")
        let certificates = try TestCertificates(in: directory.path)
        let ports = try LoopbackSocket.freePorts(11)
        let secrets = (0..<3).map { _ in UUID().uuidString }
        readOnly = ("AKREADONLY", secrets[1])
        putOnly = ("AKPUTONLY", secrets[2])
        plain = S3Endpoint(
            name: "SeaweedFS", url: "http://127.0.0.1:\(ports[0])", accessKey: "AKTEST", secretKey: secrets[0])
        tls = S3Endpoint(
            name: "SeaweedFS with TLS", url: "https://127.0.0.1:\(ports[1])", accessKey: "AKTEST",
            secretKey: secrets[0], caFile: certificates.caFile)
        try directory.write(
            "s3.json", Self.identities(administrator: secrets[0], reader: secrets[1], putter: secrets[2]))
        try FileManager.default.createDirectory(atPath: directory("data"), withIntermediateDirectories: true)

        let names = [
            "s3.port", "s3.port.https", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port",
            "volume.port.grpc", "filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc",
        ]
        // Both addresses must be given: otherwise it binds to the host's outer one. A volume limit of 0 means "as the
        // disk has room"; the default is used up by a few buckets.
        let arguments =
            [
                "-logtostderr=true", "mini", "-dir=\(directory("data"))", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false",
                "-s3.autoCreateBucket=false", "-s3.config=\(directory("s3.json"))", "-s3.domainName=s3.localhost",
                "-volume.max=0", "-s3.cert.file=\(certificates.certificateFile)",
                "-s3.key.file=\(certificates.keyFile)",
            ] + zip(names, ports).map { "-\($0)=\($1)" }
        let (process, lifeline) = try TestTool.launch(
            program, arguments, log: directory("log"), removing: directory.path)
        self.lifeline = lifeline
        try await waitUntilReady(process)
    }

    private func waitUntilReady(_ process: Process) async throws {
        let deadline = Date().addingTimeInterval(60)
        while Date() < deadline {
            guard process.isRunning else { break }
            // A bucket made with this server's own secret shows that it is ours that answers, and that it can store.
            if (try? plain.makeBucket()) != nil { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        let log = (try? String(contentsOfFile: directory("log"), encoding: .utf8)) ?? ""
        try? lifeline.close()
        throw ShortCommand.Failed(description: "weed does not answer: \(log.suffix(2000))")
    }

    /// As AWS has it: the action "Write" would let its bearer delete as well.
    private static let putOnlyPolicy =
        #""{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", "#
        + #"\"Action\": [\"s3:PutObject\"], \"Resource\": [\"arn:aws:s3:::*\"]}]}""#

    private static func identities(administrator: String, reader: String, putter: String) -> String {
        """
        {"identities": [
          {"name": "admin", "credentials": [{"accessKey": "AKTEST", "secretKey": "\(administrator)"}],
           "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
          {"name": "reader", "credentials": [{"accessKey": "AKREADONLY", "secretKey": "\(reader)"}],
           "actions": ["Read", "List"]},
          {"name": "putter", "credentials": [{"accessKey": "AKPUTONLY", "secretKey": "\(putter)"}],
           "policyNames": ["put-only"]}
        ],
        "policies": [{"name": "put-only", "content": \(putOnlyPolicy)}]}
        """
    }
}
