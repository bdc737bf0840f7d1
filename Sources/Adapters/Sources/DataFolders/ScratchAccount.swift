// SPDX-License-Identifier: Apache-2.0
public import Domain
import Glibc

/// Who runs a throw-away server that refuses, or ought not, to run as root: an unprivileged user when salvor is root, salvor's
/// own otherwise.
public struct ScratchAccount: Sendable {
    private struct User: Sendable {
        var name: String
        var user: uid_t
        var group: gid_t
    }

    private let user: User?

    /// - Parameter names: users in the order of preference, the product's own first.
    /// - Throws: `Failure(.programMissing)` when salvor is root and this host has none of them.
    public init(_ names: [String], of product: String) throws {
        guard geteuid() == 0 else {
            user = nil
            return
        }
        for name in names {
            if let entry = getpwnam(name)?.pointee, entry.pw_uid != 0 {
                user = User(name: name, user: entry.pw_uid, group: entry.pw_gid)
                return
            }
        }
        throw Failure(
            .programMissing,
            "there is no user \(names.map { "'\($0)'" }.joined(separator: " or ")) to run a \(product) server as")
    }

    /// Gives a folder to the account, and closes it to everybody else but root. Blocks.
    public func take(_ folder: String) throws {
        if let user {
            guard chown(folder, user.user, user.group) == 0 else {
                throw Failure(.localInput, "unable to give '\(folder)' to '\(user.name)'")
            }
        }
        guard chmod(folder, 0o700) == 0 else { throw Failure(.localInput, "unable to close '\(folder)' to others") }
    }

    /// Makes a folder for the account. Blocks.
    public func make(_ folder: String) throws {
        guard mkdir(folder, 0o700) == 0 else {
            throw Failure(
                errno == ENOSPC ? .localSpace : .localInput,
                "unable to make '\(folder)': \(String(cString: strerror(errno)))")
        }
        try take(folder)
    }

    /// A program as the account runs it. The signal that it gets when salvor dies is set after the change of account, which
    /// would clear it.
    ///
    /// - Parameters:
    ///   - signal: as setpriv(1) names it: `QUIT`.
    ///   - home: the folder that it takes for its user's own.
    public func program(_ path: String, _ arguments: [String], endingWith signal: String, home: String) -> Program {
        guard let user else { return Program(path, arguments) }
        return Program(
            "setpriv",
            [
                "--reuid=\(user.user)", "--regid=\(user.group)", "--clear-groups", "--pdeathsig=\(signal)", path,
            ] + arguments, environment: ["HOME": home, "LC_ALL": "C"])
    }
}
