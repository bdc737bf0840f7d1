// SPDX-License-Identifier: Apache-2.0
import DataFolders
import Domain
import Foundation
import Glibc

/// One etcd cluster, copied from one of its members (docs/sources/etcd.md).
struct EtcdAdapter: FreezingAdapter {
    /// The name of its only stream.
    static let stream = "snapshot"

    let settings: EtcdSettings
    let environment: AdapterEnvironment
    /// In a drill, what stands for the live member.
    var scratch: ScratchMember?

    func tools() async throws -> EtcdTools {
        let password: String? =
            if let reference = settings.password { try await environment.secrets.resolve(reference) } else { nil }
        return EtcdTools(transport: environment.transport, settings: settings, password: password)
    }

    /// Whether anything listens at the endpoint.
    var isAnswering: @Sendable () async -> Bool {
        { [transport = environment.transport, settings] in
            // Refused and unreachable are the same here: nobody answers.
            guard
                let descriptor = try? await transport.connect(
                    host: settings.host, port: settings.port, timeoutSeconds: 2)
            else { return false }
            close(descriptor)
            return true
        }
    }

    func preflight() async -> [Check] {
        var checks: [Check] = []
        do {
            let tools = try await tools()
            let status = try await tools.status()
            checks.append(
                Check(
                    "connection", .ok,
                    "etcd \(status.version) at \(settings.endpoint), revision \(status.header.revision ?? 0)"))
            checks.append(Check("programs", .ok, try await tools.fileProgram()))
            checks.append(await Self.right(tools))
            let members = try await tools.members()
            checks.append(
                status.leader ?? 0 == 0
                    ? Check(
                        "cluster", .failed, "the member sees no leader", remedy: "Repair the cluster first.",
                        code: .sourceFailed)
                    : Check("cluster", .ok, "\(members.count) members: \(members.map(\.name).joined(separator: ", "))"))
            let alarms = String(decoding: try await tools.run(["alarm", "list"]), as: UTF8.self)
            if !alarms.allSatisfy(\.isWhitespace) {
                checks.append(
                    Check(
                        "alarms", .warning, alarms.split(whereSeparator: \.isNewline).joined(separator: "; "),
                        remedy: "Look at 'etcdctl alarm list'."))
            }
            if environment.transport.reachesLocalFiles { checks.append(room(status.dbSize ?? 0)) }
        } catch {
            let failure = Failure.wrapping(error, as: .sourceUnreachable)
            checks.append(Check("connection", .failed, failure.summary, remedy: failure.hint, code: failure.code))
        }
        return checks
    }

    /// Whoever may list users may take a snapshot: both need the role root once authentication is on.
    private static func right(_ tools: EtcdTools) async -> Check {
        do {
            _ = try await tools.run(["user", "list"])
            return Check("rights", .ok, "snapshots may be taken")
        } catch {
            let failure = Failure.wrapping(error, as: .sourceDenied)
            return Check("rights", .failed, failure.summary, remedy: failure.hint, code: failure.code)
        }
    }

    private func room(_ needed: UInt64) -> Check {
        var status = statvfs()
        guard statvfs(settings.temporaryDirectory, &status) == 0 else {
            return Check(
                "room", .failed, "unable to look at '\(settings.temporaryDirectory)'",
                remedy: "Correct 'temporary-directory'.", code: .localInput)
        }
        let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
        let words = "\(free) bytes free in '\(settings.temporaryDirectory)', the database has \(needed)"
        return free > needed
            ? Check("room", .ok, words)
            : Check(
                "room", .failed, words, remedy: "Free space there, or set 'temporary-directory'.", code: .localSpace)
    }
}
