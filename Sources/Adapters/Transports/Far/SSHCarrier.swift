// SPDX-License-Identifier: Apache-2.0
import Domain

/// A host reached by the system's `ssh`: never asks anything, and knows the host's key beforehand.
struct SSHCarrier: Carrier {
    let settings: SSHSettings
    /// Added to the client's environment.
    let environment: [String: String]
    init(_ settings: SSHSettings, environment: [String: String]) {
        self.settings = settings
        self.environment = environment
    }

    var description: String { "ssh:\(settings.host)" }

    func shell() async throws -> Program {
        Program(
            "ssh", sharing(options(logLevel: "ERROR")) + ["--", settings.host, FarProtocol.shellWords],
            environment: environment)
    }

    /// These words with one connection for all programs. The first value of an option counts (ssh_config(5)).
    private func sharing(_ words: [String]) -> [String] {
        let path = SharedConnections.socket(
            for: words + [settings.host] + environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
        guard let path else { return words }
        let options = [
            "ControlMaster=auto", "ControlPath=\(Self.quoted(path))", "ControlPersist=\(SharedConnections.idleSeconds)",
        ]
        return options.flatMap { ["-o", $0] } + words
    }

    /// Without what ssh says when it found no room in the shared connection (`MaxSessions`) and made one of its own.
    func farWords(_ standardError: String) -> String {
        standardError.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            .filter { !$0.hasPrefix("ControlSocket ") && !$0.hasPrefix("mux_client_request_session: ") }
            .joined(separator: "\n")
    }

    func forget() async {}

    /// Everything that would ask, forward or reuse is off, whatever the user's configuration says.
    func options(logLevel: String) -> [String] {
        var options = [
            "BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "ConnectTimeout=15",
            "ServerAliveInterval=15", "ServerAliveCountMax=4", "LogLevel=\(logLevel)", "ForwardAgent=no",
            "ForwardX11=no",
            "PermitLocalCommand=no", "RequestTTY=no", "ControlMaster=no", "ControlPath=none", "EscapeChar=none",
            "Compression=no",
        ]
        if let file = settings.knownHosts {
            options += ["UserKnownHostsFile=\(Self.quoted(file))", "GlobalKnownHostsFile=/dev/null"]
        }
        if settings.identity != nil { options.append("IdentitiesOnly=yes") }
        var words = options.flatMap { ["-o", $0] }
        if let identity = settings.identity { words += ["-i", identity] }
        if let port = settings.port { words += ["-p", String(port)] }
        if let user = settings.user { words += ["-l", user] }
        return words
    }

    /// A file name as ssh_config(5) reads it.
    private static func quoted(_ path: String) -> String { "\"\(path)\"" }

    func failure(_ exit: ProgramExit) -> Failure {
        let table: [(text: String, code: Failure.Code, problem: String, hint: String)] = [
            (
                "remote host identification has changed", .sourceDenied,
                "the host shows another key than the known one",
                "Find out why before anything else; if it was meant, replace its line in known_hosts."
            ),
            (
                "host key verification failed", .sourceDenied, "the host's key is not known",
                "Compare its fingerprint with 'ssh-keygen -l' on the host, then add the key to known_hosts."
            ),
            (
                "permission denied", .sourceDenied, "the host refuses the login",
                "Check 'user' and 'identity' of the transport; the key may have no passphrase that nobody can type."
            ),
            (
                "too many authentication failures", .sourceDenied, "the host refuses the login",
                "Name one key with 'identity'."
            ),
            (
                "could not resolve hostname", .sourceUnreachable, "the host's name has no address",
                "Correct 'host' of the transport."
            ),
            ("connection refused", .sourceUnreachable, "nothing listens there", "Is sshd running, and the port right?"),
            (
                "timed out", .sourceUnreachable, "the host does not answer",
                "Is it up, and does a firewall let us through?"
            ),
            ("no route to host", .sourceUnreachable, "there is no way to the host", "Is the network up?"),
            ("connection closed", .sourceUnreachable, "the host closed the connection", "Look into its sshd's log."),
            ("connection reset", .sourceUnreachable, "the host closed the connection", "Look into its sshd's log."),
            (
                "this account is currently not available", .sourceDenied, "the user has no shell there",
                "Give the far user a POSIX shell."
            ),
        ]
        return known(exit, table)
            ?? unknown(exit, hint: "Try 'ssh -o BatchMode=yes \(settings.host) true' as the user that runs salvor.")
    }
}
