// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc

/// Whatever a program prints, with the program that takes it back (docs/sources/command.md).
struct CommandAdapter: SourceAdapter {
    /// The name of its only stream.
    static let stream = "output"

    let settings: CommandSettings
    let environment: AdapterEnvironment
    /// In a drill, the folder that the copy goes to.
    var drillFolder: String?

    /// The programs of one capture or restore.
    func programs(_ place: RestorePlace? = nil, target: String? = nil) async throws -> CommandPrograms {
        var variables = ["SALVOR_SOURCE": environment.source.name]
        if let place { variables["SALVOR_RESTORE"] = place.restoreID }
        var secrets: [String] = []
        for (name, reference) in settings.environment {
            if case .literal(let text) = reference.kind {
                variables[name] = text
            } else {
                let secret = try await environment.secrets.resolve(reference)
                variables[name] = secret
                secrets.append(secret)
            }
        }
        var words = ["{source}": environment.source.name, "{target}": target ?? environment.source.name]
        if let place {
            words["{id}"] = place.restoreID
            words["{bundle}"] = place.bundle.text
        }
        if let drillFolder {
            words["{folder}"] = drillFolder
            variables["SALVOR_DRILL_PATH"] = drillFolder
        }
        return CommandPrograms(
            transport: environment.transport, variables: variables, words: words, secrets: secrets)
    }

    func preflight() async -> [Check] {
        var checks: [Check] = []
        do {
            if environment.transport.reachesLocalFiles {
                checks += settings.programs.compactMap(Self.check)
            }
            guard let preflight = settings.preflight else { return checks }
            let programs = try await programs()
            let program = programs.program(preflight)
            let (_, exit) = try await environment.transport.outputAndExit(of: program, limit: 1 << 20)
            if exit.isSuccess {
                checks.append(Check("preflight", .ok, "\(program.name) ended with 0"))
            } else {
                let failure = programs.failure(exit, of: program, .preflightRefused)
                checks.append(
                    Check(
                        "preflight", .failed, failure.summary, remedy: "Do what it says, then try again.",
                        code: failure.code))
            }
        } catch {
            let failure = Failure.wrapping(error, as: .sourceFailed)
            checks.append(Check("preflight", .failed, failure.summary, remedy: failure.hint, code: failure.code))
        }
        return checks
    }

    /// Whether a program is where it is looked for. What only a restore needs may still be missing on a healthy host.
    private static func check(_ key: String, _ words: [String]) -> Check? {
        let name = words[0]
        if name.contains("{") { return nil }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let places = name.contains("/") ? [name] : path.split(separator: ":").map { "\($0)/\(name)" }
        if places.contains(where: { access($0, X_OK) == 0 }) { return Check(key, .ok, name) }
        let isNeeded = !key.hasPrefix("restore.")
        return Check(
            key, isNeeded ? .failed : .warning, "the program '\(name)' is missing or may not be run",
            remedy: "Install it, or correct '\(key)'.", code: isNeeded ? .programMissing : nil)
    }
}
