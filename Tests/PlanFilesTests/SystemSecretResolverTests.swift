// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import Testing
import TestSupport
import Transports

@Suite("Secrets")
struct SystemSecretResolverTests {
    private func resolve(_ text: String, _ environment: [String: String] = [:], file: String = "p.yaml") async throws
        -> String
    {
        let reference = SecretReference(text, mark: ConfigMark(file: file, line: 3, column: 1))
        return try await SystemSecretResolver(environment: environment, transport: LocalTransport()).resolve(reference)
    }

    private func failure(_ text: String, _ environment: [String: String] = [:], file: String = "p.yaml") async throws
        -> Failure
    {
        try await #require(throws: Failure.self) { _ = try await resolve(text, environment, file: file) }
    }

    private func privateFile(_ folder: TemporaryDirectory, _ text: String, mode: Int = 0o600) throws -> String {
        let file = try folder.write("secret", text)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }

    @Test("a file gives its text less one newline")
    func file() async throws {
        let folder = try TemporaryDirectory()
        #expect(try await resolve("file:\(try privateFile(folder, "top secret\n"))") == "top secret")
        #expect(try await resolve("file:\(try privateFile(folder, "two\n\n"))") == "two\n")
        #expect(try await resolve("file:\(try privateFile(folder, " kept as it is "))") == " kept as it is ")
    }

    @Test("a file open to everybody, an empty one and one that is not there are refused by name")
    func refusedFiles() async throws {
        let folder = try TemporaryDirectory()
        let open = try privateFile(folder, "x", mode: 0o644)
        let found = try await failure("file:\(open)")
        #expect(found.code == .secretUnavailable)
        #expect(found.summary == "the secret file:\(open) (p.yaml:3) is open to everybody on this host")
        #expect(found.hint == "Run chmod 600 \(open).")
        #expect(try await failure("file:\(try privateFile(folder, "\n"))").summary.hasSuffix("is empty"))
        #expect(try await failure("file:\(folder("none"))").summary.hasSuffix("no such file or directory"))
        #expect(try await failure("file:relative").summary.hasSuffix("is not an absolute path"))
        #expect(try await failure("file:\(folder.path)").summary.contains("file:\(folder.path)"))
    }

    @Test("the environment and systemd's credentials are looked up by name")
    func names() async throws {
        let folder = try TemporaryDirectory()
        _ = try privateFile(folder, "from systemd")
        #expect(try await resolve("env:PW", ["PW": "from env"]) == "from env")
        #expect(try await failure("env:PW").summary == "the secret env:PW (p.yaml:3) is not set")
        #expect(try await resolve("credential:secret", ["CREDENTIALS_DIRECTORY": folder.path]) == "from systemd")
        #expect(try await failure("credential:secret").summary.contains("CREDENTIALS_DIRECTORY is not set"))
        let outside = try await failure("credential:../secret", ["CREDENTIALS_DIRECTORY": folder.path])
        #expect(outside.summary.hasSuffix("is not the name of a credential"))
    }

    @Test("a command's output is the secret, and a failing command's output is not repeated")
    func command() async throws {
        #expect(try await resolve("command:printf %s\\n abc") == "abc")
        let folder = try TemporaryDirectory()
        let script = try folder.write("leak", "#!/bin/sh\necho half-a-secret\necho half-a-secret >&2\nexit 3\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: script)
        let found = try await failure("command:\(script)")
        #expect(found.summary.contains("failed (exit status 3)"))
        #expect(!found.summary.contains("half"))
    }

    @Test("a literal is taken only from a private file and is never printed")
    func literal() async throws {
        let folder = try TemporaryDirectory()
        let file = try privateFile(folder, "")
        #expect(try await resolve("hunter2", file: file) == "hunter2")
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: file)
        let found = try await failure("hunter2", file: file)
        #expect(!found.summary.contains("hunter2"))
    }
}
