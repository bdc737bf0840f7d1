// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import Transports

/// A far side on this host, with a connection that misbehaves as told.
struct ShellCarrier: Carrier {
    /// What stands between the far shell and us: a shell command with `"$@"` for the far shell.
    var connection = "exec \"$@\""
    var shellName = "sh"

    var description: String { "test:far" }

    func shell() async throws -> Program {
        Program("sh", ["-c", connection, "sh"] + [shellName] + FarProtocol.shell.dropFirst())
    }

    func failure(_ exit: ProgramExit) -> Failure { unknown(exit, hint: "Try again.") }

    func forget() async {}

    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        try await LocalTransport().connect(host: host, port: port, timeoutSeconds: timeoutSeconds)
    }
}
