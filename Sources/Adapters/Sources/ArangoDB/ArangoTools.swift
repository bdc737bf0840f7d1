// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// arangodump, arangorestore and tar, run beside the server.
struct ArangoTools: Sendable {
    let settings: ArangoSettings
    let environment: AdapterEnvironment

    /// The variable that carries the password: the tools put a variable's value in the place of its name between `@`.
    private static let variable = "SALVOR_ARANGO_PASSWORD"

    private func login() async throws -> (arguments: [String], environment: [String: String]) {
        let web = settings.web
        let host = web.host.contains(":") ? "[\(web.host)]" : web.host
        var arguments = ["--server.endpoint", "\(web.usesTLS ? "http+ssl" : "http+tcp")://\(host):\(web.port)"]
        guard case .user(let user, let reference) = web.login else {
            return (arguments + ["--server.authentication", "false"], [:])
        }
        let password = if let reference { try await environment.secrets.resolve(reference) } else { "" }
        arguments += ["--server.username", user, "--server.password", "@\(Self.variable)@"]
        return (arguments, [Self.variable: password])
    }

    /// The version of a tool.
    func version(of program: String) async throws -> ArangoVersion {
        let output = try await environment.transport.output(of: Program(program, ["--version"]), limit: 1 << 20)
        let first = String(decoding: output, as: UTF8.self).split(whereSeparator: \.isWhitespace).first
        guard let version = first.flatMap({ ArangoVersion(String($0)) }) else {
            throw Failure(.programFailed, "'\(program) --version' tells no version", hint: "Look what it is.")
        }
        return version
    }

    /// Dumps one database into a folder that is not there yet.
    func dump(_ database: String, into directory: String) async throws {
        let login = try await login()
        try await run(
            Program(
                settings.dumpProgram,
                login.arguments + [
                    "--server.database", database, "--include-system-collections", "true", "--output-directory",
                    directory, "--compress-output", "false", "--threads", String(settings.threads), "--progress",
                    "false",
                ], environment: login.environment), "dumping database '\(database)'")
    }

    /// Restores a folder into a database, which is made.
    func restore(_ directory: String, into database: String, withSystem: Bool) async throws {
        let login = try await login()
        try await run(
            Program(
                settings.restoreProgram,
                login.arguments + [
                    "--server.database", database, "--create-database", "true", "--include-system-collections",
                    withSystem ? "true" : "false", "--input-directory", directory, "--threads",
                    String(settings.threads), "--progress", "false",
                ], environment: login.environment), "restoring database '\(database)'")
    }

    /// Runs a tool, whose exit status must be 0 and whose last line must say that it processed everything: it has been
    /// seen to end without a word.
    private func run(_ program: Program, _ step: String) async throws {
        let (output, exit) = try await environment.transport.outputAndExit(of: program, limit: 4 << 20)
        let text = String(decoding: output, as: UTF8.self) + exit.standardError
        guard exit.isSuccess else {
            let words = text.split(whereSeparator: \.isNewline).suffix(3).joined(separator: "; ")
            throw Failure(
                .programFailed, "\(step): \(program.name) failed (\(exit.status)): \(words)",
                hint: "Look in the server's log, and whether the user may read and write all databases.")
        }
        guard text.contains("Processed ") else {
            throw Failure(
                .programFailed, "\(step): \(program.name) did not say that it processed anything",
                hint: "Run it by hand and look what it prints.")
        }
    }

    // MARK: Folders beside the server

    func makeDirectory(_ path: String) async throws {
        _ = try await environment.transport.output(of: Program("mkdir", ["-m", "700", path]))
    }

    func removeDirectory(_ path: String) async throws {
        _ = try await environment.transport.output(of: Program("rm", ["-rf", path]))
    }

    /// Gives the folder as a tar to `consume`.
    func pack(
        _ directory: String, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> StreamEnd {
        let program = Program("tar", ["-C", directory, "-cf", "-", "."])
        let (end, exit) = try await environment.transport.stream(program, consume)
        try exit.requireSuccess(of: program, hint: "Look whether '\(directory)' can be read beside the server.")
        return end
    }

    /// Unpacks a stream into a new folder.
    func unpack(_ stream: any StoredStream, into directory: String) async throws {
        try await removeDirectory(directory)
        try await makeDirectory(directory)
        let program = Program("tar", ["-C", directory, "-xf", "-"])
        let (_, exit) = try await environment.transport.run(program) { pipes in
            async let drained: UInt64 = Blocking.run { try pipes.forEachChunk { _ in } }
            try await stream.read(nil) { try pipes.write($0) }
            try pipes.closeInput()
            _ = try await drained
        }
        try exit.requireSuccess(of: program, hint: "Look for room in '\(settings.workDirectory)' beside the server.")
    }
}
