// SPDX-License-Identifier: Apache-2.0
import Domain

/// Finds what a plan refers to for its secrets, wherever it stands.
enum PlanSecrets {
    /// In the order of the document, each once; literals are left out.
    static func references(_ document: ConfigNode) -> [SecretReference] {
        var seen: Set<SecretReference.Kind> = []
        return all(document).filter { reference in
            if case .literal = reference.kind { return false }
            return seen.insert(reference.kind).inserted
        }
    }

    private static func all(_ node: ConfigNode) -> [SecretReference] {
        switch node {
        case .scalar: return []
        case .sequence(let nodes, _): return nodes.flatMap(all)
        case .mapping(let pairs, _):
            return pairs.flatMap { pair -> [SecretReference] in
                guard case .scalar(let text, _, let mark) = pair.value else { return all(pair.value) }
                // A webhook's address may be a secret or not; one that is none is no reference either.
                let mayRefer = PlanKeys.secrets.contains(pair.key) || pair.key == "url"
                return mayRefer ? [SecretReference(text, mark: mark)] : []
            }
        }
    }
}
