// SPDX-License-Identifier: Apache-2.0
import Domain

extension KubernetesAdapter {
    /// Beyond so many questions the capture itself has to find out what is not allowed.
    private static let mostQuestions = 60

    func preflight() async -> [Check] {
        do {
            var checks = [Check("connection", .ok, try await serverVersion())]
            for namespace in settings.namespaces {
                do {
                    let isThere = try await kubectl.object("namespace", namespace) != nil
                    checks.append(
                        isThere
                            ? Check("namespace", .ok, "'\(namespace)' is there")
                            : Check(
                                "namespace", .failed, "there is no namespace '\(namespace)'",
                                remedy: "Check 'namespaces' of the source.", code: .sourceNotFound))
                } catch let failure as Failure where failure.code == .sourceDenied {
                    checks.append(
                        Check(
                            "namespace", .warning, "whether '\(namespace)' exists may not be asked",
                            remedy: "Grant 'get' on namespaces, so that a mistyped one is noticed."))
                }
            }
            checks += try await rights()
            return checks
        } catch {
            let failure = Failure.wrapping(error, as: .sourceUnreachable)
            return [Check("connection", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }

    private func rights() async throws -> [Check] {
        let questions =
            settings.namespaces.flatMap { namespace in settings.kinds.map { (kind: $0, namespace: namespace) } }
            + settings.clusterKinds.map { (kind: $0, namespace: "") }
        guard questions.count <= Self.mostQuestions else {
            return [Check("rights", .ok, "not asked one by one: \(questions.count) resources")]
        }
        var checks: [Check] = []
        for (kind, namespace) in questions {
            // `auth can-i` says `no` with status 1 (kubectl auth can-i --help).
            let program = kubectl.program(["auth", "can-i", "list", kind], namespace: namespace)
            let (bytes, exit) = try await environment.transport.outputAndExit(of: program, limit: 4096)
            let answer = String(decoding: bytes, as: UTF8.self)
            guard !answer.hasPrefix("yes") else { continue }
            guard answer.hasPrefix("no") else {
                throw kubectl.failure(exit, ["auth", "can-i"], namespace)
            }
            let place = namespace.isEmpty ? "" : " in namespace '\(namespace)'"
            checks.append(
                Check(
                    "rights", .failed, "the user may not list \(kind)\(place)",
                    remedy: "Grant the verbs get and list on \(kind); docs/sources/kubernetes.md has a role.",
                    code: .sourceDenied))
        }
        return checks.isEmpty ? [Check("rights", .ok, "the user may list \(questions.count) resources")] : checks
    }
}
