// SPDX-License-Identifier: Apache-2.0
public import Domain
import ByteStreams
import Glibc
import Programs
import SystemPackage

/// Programs and ports of this host.
public struct LocalTransport: Transport {
    public init() {}

    public var description: String { "local" }

    public var reachesLocalFiles: Bool { true }

    public func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) {
        do {
            let (result, exit) = try await ChildProgram.run(
                program.name, program.arguments, environment: program.environment
            ) { try await body(LocalPipes(child: $0)) }
            let status: ProgramExit.Status =
                exit.signal.map { .signalled($0) } ?? .exited(exit.code ?? -1)
            return (
                result, ProgramExit(status: status, standardError: String(decoding: exit.standardError, as: UTF8.self))
            )
        } catch let error as ChildProgram.NotStarted {
            throw Failure(
                .programMissing, "unable to start '\(error.program)': \(error.reason)",
                hint: "Install it, or put it in PATH.")
        }
    }

    public func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        try await Blocking.run { try SocketConnection.open(host: host, port: port, timeoutSeconds: timeoutSeconds) }
    }
}

/// The pipes of a child of this process.
struct LocalPipes: ProgramPipes {
    let child: ChildPipes

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try child.read(into: buffer) }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        do { try child.write(bytes) } catch let error as Errno {
            throw Failure(.programFailed, "the program stopped reading its input (\(error))")
        }
    }

    func closeInput() throws { try child.closeInput() }
}
