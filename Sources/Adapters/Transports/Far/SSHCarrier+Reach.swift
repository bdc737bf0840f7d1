// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Programs

extension SSHCarrier {
    /// `ssh -W`: one connection of its own for each. ssh tells only in its log that the far side let us in.
    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        guard !host.hasPrefix("/") else {
            throw Failure(
                .sourceUnreachable, "\(description): the socket '\(host)' cannot be reached over ssh",
                hint: "Name a TCP address in the source's 'connection'.")
        }
        let place = (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
        let words = ["-W", place] + options(logLevel: "DEBUG2") + ["--", settings.host]
        let environment = environment
        return try await ServedSocket.open(
            timeoutSeconds: timeoutSeconds, object: "\(description), \(place)"
        ) { socket, isReady in
            do {
                let (_, exit) = try await ChildProgram.run(
                    "ssh", words, environment: environment,
                    standardErrorLine: { line in
                        if String(decoding: line, as: UTF8.self).contains(": open confirm ") { isReady() }
                    }
                ) { pipes in
                    // A caller that is gone while ssh still waits for the far side ends it.
                    let isFarEnd = await SocketPump.run(socket, SocketPump.FarEnd(LocalPipes(child: pipes)))
                    if !isFarEnd { throw CancellationError() }
                }
                let text = String(decoding: exit.standardError, as: UTF8.self).split(whereSeparator: \.isNewline)
                    .filter { !$0.hasPrefix("debug") }.joined(separator: "\n")
                throw refusal(place, ProgramExit(status: .exited(exit.code ?? -1), standardError: text))
            } catch let error as ChildProgram.NotStarted {
                throw Failure(
                    .programMissing, "unable to start '\(error.program)': \(error.reason)",
                    hint: "Install the package openssh-client.")
            }
        }
    }

    private func refusal(_ place: String, _ exit: ProgramExit) -> Failure {
        if exit.standardError.contains("administratively prohibited") {
            return Failure(
                .sourceDenied, "\(description): forwarding is not allowed",
                hint: "Set 'AllowTcpForwarding yes' for this user in the far sshd_config.")
        }
        guard exit.standardError.contains("open failed") || exit.standardError.contains("stdio forwarding failed")
        else { return failure(exit) }
        return Failure(
            .sourceUnreachable, "\(description): unable to connect to \(place) there",
            hint: "Is the server up, and is 'connection' in the plan right?")
    }
}
