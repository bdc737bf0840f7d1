// SPDX-License-Identifier: Apache-2.0
import Domain

/// How a shell is started beside a source: through which client, with which words; and what the client's complaints mean.
protocol Carrier: Sendable {
    /// For people: `docker:db`.
    var description: String { get }

    /// The client's command line that runs the far shell with standard input, output and error connected. May ask the
    /// engine which container is meant.
    ///
    /// - Throws: `Failure` when there is none, or more than one.
    func shell() async throws -> Program

    /// What a client means that ended without a word from the far shell.
    func failure(_ exit: ProgramExit) -> Failure

    /// Whatever was asked may have changed: ask again next time.
    func forget() async

    /// The far program's words, without those that the client adds.
    func farWords(_ standardError: String) -> String

    /// A connection, as `Transport.connect` promises.
    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32

    /// A port, as `Transport.reach` promises.
    func reach<Result: Sendable>(
        host: String, port: Int, _ body: @Sendable (ReachedPort) async throws -> Result
    ) async throws -> Result
}

extension Carrier {
    func farWords(_ standardError: String) -> String { standardError }

    func reach<Result: Sendable>(
        host: String, port: Int, _ body: @Sendable (ReachedPort) async throws -> Result
    ) async throws -> Result {
        try await PortForwarder.run(
            { try await connect(host: host, port: port, timeoutSeconds: PortForwarder.patience) }, body)
    }

    /// A failure for the first of these texts that the client said, in lower case; nil: none of them.
    func known(
        _ exit: ProgramExit, _ table: [(text: String, code: Failure.Code, problem: String, hint: String)]
    ) -> Failure? {
        let said = exit.standardError.lowercased()
        guard let match = table.first(where: { said.contains($0.text) }) else { return nil }
        return Failure(match.code, "\(description): \(match.problem)", hint: match.hint)
    }

    /// A failure for something unknown, in the client's own words.
    func unknown(_ exit: ProgramExit, hint: String) -> Failure {
        let words = exit.lastWords.isEmpty ? "it ended with \(exit.status) and no word" : exit.lastWords
        return Failure(.sourceUnreachable, "\(description): \(words)", hint: hint)
    }
}
