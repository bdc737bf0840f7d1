// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The plans of `manifests/plans/`, brought along so that a host can start from one.
public enum PlanTemplates {
    private static let texts: [String: [UInt8]] = [
        "cassandra-janusgraph": PackageResources.cassandra_janusgraph_yaml,
        "compose-search": PackageResources.compose_search_yaml,
        "kubernetes-stack": PackageResources.kubernetes_stack_yaml,
        "node-service": PackageResources.node_service_yaml,
        "postgresql-generations": PackageResources.postgresql_generations_yaml,
    ]

    /// The names of the stacks, sorted.
    public static var names: [String] { texts.keys.sorted() }

    /// What a stack is, in one sentence.
    public static func summary(_ name: String) -> String? {
        text(name)?.split(separator: "\n").first.map { String($0.drop { $0 == "#" || $0 == " " }) }
    }

    /// A stack's plan, as it is in the repository of this program.
    ///
    /// - Parameter plan: the plan's name; nil: the one it has.
    public static func text(_ name: String, plan: String? = nil) -> String? {
        guard let bytes = texts[name] else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        return lines.compactMap { line -> String? in
            // Of use in the repository of this program only.
            if line.hasPrefix("# yaml-language-server:") || line.hasPrefix("# Start from it:") { return nil }
            if let plan, line.hasPrefix("plan: ") { return "plan: \(plan)" }
            return String(line)
        }.joined(separator: "\n")
    }
}
