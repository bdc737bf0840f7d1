// SPDX-License-Identifier: Apache-2.0
import Domain

/// What differs between two states of an object, for people.
enum ObjectComparison {
    /// Paths of one object that are named; the rest is counted.
    private static let most = 8
    private static let longest = 60

    /// What a restore would change, such as `spec.replicas: 5 -> 2`. Of Secrets and ConfigMaps only the paths are told.
    static func changes(from live: JSONValue, to result: JSONValue, _ key: ObjectKey) -> [String] {
        let (before, after) = (leaves(live), leaves(result))
        let hidesValues = key.isSecret || key.kind == "configmap"
        let all = Set(before.keys).union(after.keys).sorted().compactMap { path -> String? in
            let (old, new) = (before[path], after[path])
            guard old != new else { return nil }
            guard let old else { return "\(path) added" }
            guard let new else { return "\(path) removed" }
            guard !hidesValues, old.utf8.count + new.utf8.count <= longest else { return "\(path) changed" }
            return "\(path): \(old) -> \(new)"
        }
        guard all.count > most else { return all }
        return all.prefix(most) + ["\(all.count - most) more"]
    }

    /// What stays in an object although the bundle does not have it: server-side apply leaves other managers' fields alone.
    static func kept(_ wanted: JSONValue, _ result: JSONValue) -> [String] {
        let names = Set(leaves(wanted).keys)
        return leaves(result).keys.filter { !names.contains($0) }.sorted()
    }

    /// Every value by its dotted path.
    private static func leaves(_ value: JSONValue, _ path: String = "") -> [String: String] {
        switch value {
        case .object(let members):
            members.reduce(into: [:]) { all, member in
                all.merge(leaves(member.value, path.isEmpty ? member.key : "\(path).\(member.key)")) { $1 }
            }
        case .array(let elements):
            elements.enumerated().reduce(into: [:]) { all, element in
                all.merge(leaves(element.element, "\(path)[\(element.offset)]")) { $1 }
            }
        case .string(let text): [path: text]
        case .integer(let number): [path: String(number)]
        case .number(let number): [path: "\(number)"]
        case .bool(let isTrue): [path: isTrue ? "true" : "false"]
        case .null: [path: "null"]
        }
    }
}
