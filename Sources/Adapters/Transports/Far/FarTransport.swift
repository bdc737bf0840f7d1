// SPDX-License-Identifier: Apache-2.0
public import Domain
import ByteStreams
import Programs

/// Programs and ports beside a source that is not on this host, or in a container of it (docs/transports.md).
public struct FarTransport: Transport {
    let carrier: any Carrier
    private let local = LocalTransport()

    init(_ carrier: any Carrier) {
        self.carrier = carrier
    }

    public var description: String { carrier.description }

    public var reachesLocalFiles: Bool { false }

    public func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) {
        let farProtocol = FarProtocol()
        let opening = farProtocol.opening(program.name, program.arguments, program.environment)
        let client = try await carrier.shell()
        let will = will(client, farProtocol)
        do {
            let result = try await carried(program, by: client, opening, farProtocol, body)
            await will?.revoke()
            return result
        } catch {
            await will?.revoke()
            throw error
        }
    }

    /// Ends the far program when this process cannot, because somebody killed it: neither `docker exec` nor `kubectl exec`
    /// ends a program whose client is gone, and one that waits does not notice.
    private func will(_ client: Program, _ farProtocol: FarProtocol) -> LastWill? {
        // Without one the program runs all the same, and ends itself when it notices.
        try? LastWill(
            [client.name] + client.arguments, input: String(decoding: farProtocol.ending(), as: UTF8.self),
            environment: client.environment, limitSeconds: 30)
    }

    private func carried<Result: Sendable>(
        _ program: Program, by client: Program, _ opening: [UInt8], _ farProtocol: FarProtocol,
        _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) {
        let box = PipesBox()
        let (outcome, exit): (Outcome<Result>, ProgramExit)
        do {
            (outcome, exit) = try await local.run(client) { pipes in
                let far = FarPipes(pipes, farProtocol)
                box.pipes = far
                switch try await Blocking.run({ try far.begin(opening) }) {
                case .missing: return .missing
                case .silent: return .silent(far.noise)
                case .started: break
                }
                let result = try await body(far)
                try await Blocking.run { try far.drain() }
                return .done(result, far.status)
            }
        } catch {
            // The client is gone, which the far program may not notice.
            if box.pipes != nil { await end(farProtocol) }
            // What the body made of an output that was cut off is not the reason.
            if !(error is CancellationError), let far = box.pipes, far.isAtEnd, far.status == nil {
                await carrier.forget()
                throw lost(program, nil)
            }
            throw error
        }
        return try await conclude(program, outcome, exit, farProtocol)
    }

    private func conclude<Result: Sendable>(
        _ program: Program, _ outcome: Outcome<Result>, _ exit: ProgramExit, _ farProtocol: FarProtocol
    ) async throws -> (Result, ProgramExit) {
        switch outcome {
        case .missing:
            throw Failure(
                .programMissing, "\(description) has no program '\(program.name)'",
                hint: "Install it there, where the source is, or name its full path.")
        case .silent(let noise):
            await carrier.forget()
            throw carrier.failure(
                ProgramExit(status: exit.status, standardError: noise + "\n" + exit.standardError))
        case .done(let result, let status):
            // Zero counts only when the client agrees: it may know of a loss that the far shell does not.
            guard let status, status != 0 || exit.isSuccess else {
                await carrier.forget()
                if status == nil { await end(farProtocol) }
                throw lost(program, exit)
            }
            return (
                result,
                ProgramExit(status: .exited(status), standardError: carrier.farWords(exit.standardError))
            )
        }
    }

    private func lost(_ program: Program, _ exit: ProgramExit?) -> Failure {
        let words = exit.map { carrier.farWords($0.standardError) } ?? ""
        let last = ProgramExit(status: .exited(0), standardError: words).lastWords
        return Failure(
            .sourceUnreachable,
            "the connection to \(description) ended before '\(program.name)' did"
                + (last.isEmpty ? "" : ": \(last)"),
            hint: "Nothing of what it had sent counts; look whether the far side is up, and try again.")
    }

    /// Ends what is left of a far program; also when the task is cancelled.
    private func end(_ farProtocol: FarProtocol) async {
        let (carrier, local) = (carrier, local)
        await Task {
            // When the far side cannot be reached any more, nothing can be ended there.
            _ = try? await Patience.run(seconds: 20) {
                try await local.outputAndExit(of: try await carrier.shell(), input: farProtocol.ending())
            }
        }.value
    }

    public func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        try await carrier.connect(host: host, port: port, timeoutSeconds: timeoutSeconds)
    }

    public func reach<Result: Sendable>(
        host: String, port: Int, _ body: @Sendable (ReachedPort) async throws -> Result
    ) async throws -> Result {
        try await carrier.reach(host: host, port: port, body)
    }
}

/// What came of a far program.
private enum Outcome<Result: Sendable>: Sendable {
    case missing
    /// With what the client printed.
    case silent(String)
    case done(Result, Int32?)
}
