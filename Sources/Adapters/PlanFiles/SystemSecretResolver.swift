// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Glibc

/// Fetches secrets from files, the environment, systemd's credentials and commands of this host.
public struct SystemSecretResolver: SecretResolver {
    private static let largest = 64 << 10
    private let environment: [String: String]
    private let transport: any Transport

    /// - Parameters:
    ///   - environment: salvor's own variables.
    ///   - transport: where `command:` programs run: this host.
    public init(environment: [String: String], transport: any Transport) {
        self.environment = environment
        self.transport = transport
    }

    /// The secret, less one newline at its end.
    ///
    /// - Throws: `Failure(.secretUnavailable)` when it is not there, empty, or readable by others.
    public func resolve(_ reference: SecretReference) async throws -> String {
        let secret: String
        switch reference.kind {
        case .file(let path):
            guard path.hasPrefix("/") else { throw problem(reference, "is not an absolute path") }
            secret = try read(credential(forFile: path) ?? path, reference)
        case .environment(let name):
            guard let value = environment[name] else {
                throw problem(reference, "is not set", hint: "Export \(name) where salvor runs.")
            }
            secret = value
        case .credential(let name):
            secret = try read(try credentialPath(name, reference), reference)
        case .command(let words):
            secret = try await output(words, reference)
        case .literal(let text):
            guard SecretFile.isPrivate(reference.mark.file) else {
                throw LiteralSecrets.refusal(key: "secret", mark: reference.mark)
            }
            secret = text
        }
        guard !secret.isEmpty else { throw problem(reference, "is empty") }
        guard !secret.utf8.contains(0) else { throw problem(reference, "holds a zero byte") }
        return secret
    }

    /// A service that may not read the file has been given what is in it.
    private func credential(forFile path: String) -> String? {
        guard let folder = environment["CREDENTIALS_DIRECTORY"], folder.hasPrefix("/") else { return nil }
        let file = "\(folder)/\(SecretReference.credentialName(forFile: path))"
        return access(file, F_OK) == 0 ? file : nil
    }

    private func credentialPath(_ name: String, _ reference: SecretReference) throws -> String {
        guard SafeName.isValid(name) else { throw problem(reference, "is not the name of a credential") }
        guard let folder = environment["CREDENTIALS_DIRECTORY"], folder.hasPrefix("/") else {
            throw problem(
                reference, "needs systemd's credentials, and CREDENTIALS_DIRECTORY is not set",
                hint: "Add LoadCredential= to the service, or use file: when salvor is not run by systemd.")
        }
        return "\(folder)/\(name)"
    }

    private func read(_ path: String, _ reference: SecretReference) throws -> String {
        // Opened once and looked at through the descriptor, so that the file checked is the file read.
        // Without O_NONBLOCK, opening a pipe would wait for its writer for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw problem(
                reference, "cannot be read: \(String(cString: strerror(errno)).lowercased())",
                hint: "Check the file and its owner.")
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw problem(reference, "is not a regular file")
        }
        guard status.st_mode & 0o007 == 0 else {
            throw problem(reference, "is open to everybody on this host", hint: "Run chmod 600 \(path).")
        }
        guard status.st_size <= Self.largest else { throw problem(reference, "is larger than 64 KiB") }
        do {
            return try text(Array(try handle.readToEnd() ?? Data()), reference)
        } catch let failure as Failure {
            throw failure
        } catch {
            throw problem(reference, "cannot be read: \(FileReason.of(error))")
        }
    }

    private func output(_ words: [String], _ reference: SecretReference) async throws -> String {
        guard let name = words.first else { throw problem(reference, "names no program") }
        let program = Program(name, Array(words.dropFirst()))
        let (bytes, exit) = try await transport.outputAndExit(of: program, limit: Self.largest)
        // What the program printed is not repeated: it may be half of the secret.
        guard exit.isSuccess else {
            throw problem(reference, "failed (\(exit.status))", hint: "Run the command by hand.")
        }
        return try text(bytes, reference)
    }

    private func text(_ bytes: [UInt8], _ reference: SecretReference) throws -> String {
        var bytes = bytes[...]
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw problem(reference, "is not UTF-8 text") }
        return text
    }

    private func problem(_ reference: SecretReference, _ what: String, hint: String? = nil) -> Failure {
        Failure(.secretUnavailable, "the secret \(reference) (\(reference.mark)) \(what)", hint: hint)
    }
}
