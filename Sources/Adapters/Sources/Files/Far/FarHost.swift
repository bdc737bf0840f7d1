// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// The small programs beside a source that is reached through a transport: GNU `tar` and `find`, and a shell.
struct FarHost: Sendable {
    let transport: any Transport

    /// What the far side has.
    struct Tools: Sendable {
        var tar: String
        var find: String
        var userID: UInt32

        var isRoot: Bool { userID == 0 }
    }

    /// Messages are read, so they must be in one language.
    static let environment = ["LC_ALL": "C"]

    /// A program whose messages can be read.
    static func program(_ name: String, _ arguments: [String]) -> Program {
        Program(name, arguments, environment: environment)
    }

    /// A script with its arguments, which no shell interprets.
    static func script(_ text: String, _ arguments: [String]) -> Program {
        program("sh", ["-c", text, "salvor"] + arguments)
    }

    /// Looks which programs there are.
    ///
    /// - Throws: `Failure(.programMissing)` unless they are GNU's: others cannot keep all that a file has, and do not tell
    ///   times to the nanosecond.
    func tools() async throws -> Tools {
        let look = "tar --version 2>&1 | head -n 1; find --version 2>&1 | head -n 1; id -u"
        let lines = String(decoding: try await transport.output(of: Self.script(look, [])), as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count >= 3, let user = UInt32(lines[2]) else {
            throw Failure(.sourceFailed, "\(transport.description) does not tell its programs' versions")
        }
        for (name, line, wanted) in [("tar", lines[0], "GNU tar"), ("find", lines[1], "GNU findutils")]
        where !line.contains(wanted) {
            throw Failure(
                .programMissing, "\(transport.description) has no GNU \(name) (it says: \(line.prefix(60)))",
                hint: "Install the packages tar and findutils there, or back the files up from a host that has them.")
        }
        return Tools(tar: lines[0], find: lines[1], userID: user)
    }

    /// What a script prints.
    ///
    /// - Throws: `Failure` with the script's last words.
    @discardableResult
    func output(_ script: String, _ arguments: [String], code: Failure.Code = .restoreFailed) async throws -> String {
        let (bytes, exit) = try await transport.outputAndExit(of: Self.script(script, arguments))
        guard exit.isSuccess else {
            let words = exit.lastWords.isEmpty ? "\(exit.status)" : exit.lastWords
            let isFull = words.contains("No space left on device")
            throw Failure(isFull ? .localSpace : code, "\(transport.description): \(words)")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
