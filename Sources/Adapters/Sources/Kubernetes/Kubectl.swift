// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// The client beside the source. Objects travel in standard input, never in arguments.
struct Kubectl: Sendable {
    let transport: any Transport
    let settings: KubernetesSettings

    func program(_ arguments: [String], namespace: String = "") -> Program {
        var words: [String] = []
        if let kubeconfig = settings.kubeconfig { words.append("--kubeconfig=\(kubeconfig)") }
        if let context = settings.context { words.append("--context=\(context)") }
        if !namespace.isEmpty { words.append("--namespace=\(namespace)") }
        // Given a time limit, kubectl takes its configuration for more than the default, and does not look for the service
        // account of the pod that it runs in.
        if !usesServiceAccount { words.append("--request-timeout=\(settings.timeoutSeconds)s") }
        return Program(settings.program ?? "kubectl", words + arguments)
    }

    /// Whether nothing but the service account of this pod says where the API server is.
    private var usesServiceAccount: Bool {
        let environment = ProcessInfo.processInfo.environment
        return settings.kubeconfig == nil && settings.context == nil && transport.reachesLocalFiles
            && environment["KUBERNETES_SERVICE_HOST"] != nil && environment["KUBECONFIG"]?.isEmpty != false
    }

    /// What the client prints with status 0.
    ///
    /// - Throws: what its last words amount to.
    func output(_ arguments: [String], namespace: String = "", input: [UInt8] = []) async throws -> [UInt8] {
        let program = program(arguments, namespace: namespace)
        let (bytes, exit) = try await transport.outputAndExit(of: program, input: input, limit: 512 << 20)
        guard exit.isSuccess else { throw failure(exit, arguments, namespace) }
        return bytes
    }

    /// All objects of a resource, in a namespace or without one.
    func list(_ kind: String, namespace: String, selector: String? = nil) async throws -> [JSONValue] {
        var arguments = ["get", kind, "--output=json", "--chunk-size=500"]
        if let selector { arguments.append("--selector=\(selector)") }
        let bytes = try await output(arguments, namespace: namespace)
        let answer = try json(bytes, arguments)
        // A page of a list without its rest would be a good backup of half the objects.
        guard let items = answer["items"]?.array, answer["metadata"]?["continue"]?.string ?? "" == "" else {
            throw Failure(
                .sourceFailed, "kubectl gave no whole list of \(kind)\(Self.place(namespace))",
                hint: "Use the kubectl of Kubernetes itself: it puts the pages of a list together.")
        }
        for item in items where ObjectKey(item) == nil {
            throw Failure(.sourceFailed, "kubectl gave something without kind and name among \(kind)")
        }
        return items
    }

    /// One object; nil when it is not there.
    func object(_ kind: String, _ name: String, namespace: String = "") async throws -> JSONValue? {
        let arguments = ["get", kind, name, "--output=json"]
        do {
            return try json(try await output(arguments, namespace: namespace), arguments)
        } catch let failure as Failure where failure.code == .sourceNotFound {
            return nil
        }
    }

    /// Those objects of the whole cluster that are there, asked for one by one.
    func objects(_ kind: String, _ names: [String]) async throws -> [JSONValue] {
        var objects: [JSONValue] = []
        for name in names {
            if let object = try await object(kind, name) { objects.append(object) }
        }
        return objects
    }

    /// Applies objects on the server, in their order, and gives what they are then.
    ///
    /// - Parameter isTrial: the server only says what it would do.
    func apply(_ objects: [JSONValue], force: Bool, isTrial: Bool) async throws -> [JSONValue] {
        guard !objects.isEmpty else { return [] }
        var arguments = [
            "apply", "--server-side", "--field-manager=\(KubernetesAdapter.fieldManager)", "--output=json",
        ]
        if force { arguments.append("--force-conflicts") }
        if isTrial { arguments.append("--dry-run=server") }
        let list: JSONValue = ["apiVersion": "v1", "kind": "List", "items": .array(objects)]
        let input = Array(try JSONEncoder().encode(list))
        let answer = try json(try await output(arguments + ["--filename=-"], input: input), arguments)
        let applied = answer["items"]?.array ?? [answer]
        guard applied.count == objects.count else {
            throw Failure(
                .restoreFailed, "kubectl says nothing of \(objects.count - applied.count) of \(objects.count) objects")
        }
        return applied
    }

    /// Deletes an object and waits until it is gone; succeeds when it is not there.
    func delete(_ key: ObjectKey) async throws {
        _ = try await output(
            ["delete", key.kind, key.name, "--ignore-not-found", "--wait=true", "--output=name"],
            namespace: key.namespace)
    }

    private func json(_ bytes: [UInt8], _ arguments: [String]) throws -> JSONValue {
        do { return try JSONDecoder().decode(JSONValue.self, from: Data(bytes)) } catch {
            throw Failure(
                .sourceFailed,
                "kubectl \(arguments.prefix(2).joined(separator: " ")) succeeded, but what it printed "
                    + "(\(bytes.count) bytes) is not whole",
                hint: "Run it by hand; is something in between cutting it off?")
        }
    }

    private static func place(_ namespace: String) -> String {
        namespace.isEmpty ? "" : " in namespace '\(namespace)'"
    }

    /// Sorts the client's end into codes by its words, which are those of the API's status
    /// (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/).
    func failure(_ exit: ProgramExit, _ arguments: [String], _ namespace: String) -> Failure {
        // Warnings may speak of conflicts that came to nothing.
        let text = exit.standardError.split(separator: "\n").filter { !$0.hasPrefix("Warning:") }.joined(
            separator: "\n")
        let what = "kubectl \(arguments.prefix(2).joined(separator: " "))\(Self.place(namespace))"
        let summary = "\(what) failed (\(exit.status)): \(exit.lastWords)"
        if text.contains("(Forbidden)") || text.contains("is forbidden") {
            return Failure(
                .sourceDenied, summary,
                hint: "Grant the verbs get and list on it; docs/sources/kubernetes.md has a role.")
        }
        if text.contains("the server doesn't have a resource type") {
            return Failure(
                .sourceFailed, summary,
                hint: "Correct 'kinds' of the source; 'kubectl api-resources -o name' prints what the server has.")
        }
        if text.contains("conflict with ") || text.contains("conflicts with ") {
            return Failure(
                .conflict, "\(what): \(Self.conflicts(text).joined(separator: "; "))",
                hint: "Let the other manager restore these objects, or set 'restore: {conflicts: take}'.")
        }
        if text.contains("(NotFound)") { return Failure(.sourceNotFound, summary) }
        if text.contains("(Unauthorized)") || text.contains("must be logged in") {
            return Failure(.sourceDenied, summary, hint: "Renew the credentials that the kubeconfig names.")
        }
        if [
            "was refused", "Unable to connect", "no such host", "i/o timeout", "deadline exceeded", "does not exist",
            "error: stat ",
        ]
        .contains(where: text.contains) {
            return Failure(
                .sourceUnreachable, summary,
                hint: "Check 'kubeconfig' and 'context', and whether the API server answers.")
        }
        return Failure(.sourceFailed, summary)
    }

    /// The lines that tell who owns which field.
    static func conflicts(_ text: String) -> [String] {
        text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { $0.contains("conflict with ") || $0.contains("conflicts with ") || $0.hasPrefix("- .") }
    }
}
