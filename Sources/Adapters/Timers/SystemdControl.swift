// SPDX-License-Identifier: Apache-2.0
public import Domain
import Glibc

/// The running systemd, by `systemctl`.
public struct SystemdControl: Sendable {
    private let transport: any Transport

    public init(_ transport: any Transport) {
        self.transport = transport
    }

    /// Where an administrator's units are.
    public static let folder = "/etc/systemd/system"

    /// - Throws: `Failure(.preflightRefused)` unless systemd runs this host.
    public func requireRunning() throws {
        // As sd_booted(3) tells it.
        var status = stat()
        guard lstat("/run/systemd/system", &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw Failure(
                .preflightRefused, "this host is not run by systemd",
                hint: "Nothing was changed. Write the units with --directory, or use --format cron.")
        }
    }

    /// Makes systemd read the units anew and starts timers, now and at every boot.
    public func enable(_ timers: [String]) async throws {
        try await run(["daemon-reload"])
        guard !timers.isEmpty else { return }
        try await run(["enable", "--now"] + timers)
        // Timers that were running go by their new times only when started anew.
        try await run(["restart"] + timers)
    }

    /// Stops timers, now and at every boot; a run that is under way goes on.
    public func disable(_ timers: [String]) async throws {
        guard !timers.isEmpty else { return }
        try await run(["disable", "--now"] + timers)
    }

    /// Makes systemd read the units anew.
    public func reload() async throws { try await run(["daemon-reload"]) }

    private func run(_ arguments: [String]) async throws {
        let program = Program("systemctl", arguments)
        let (_, exit) = try await transport.outputAndExit(of: program, limit: 1 << 20)
        try exit.requireSuccess(
            of: program, hint: "Look at 'systemctl status \(arguments.last ?? "")', then run the command again.")
    }
}
