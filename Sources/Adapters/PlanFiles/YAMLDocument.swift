// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Glibc
import Yams

/// Reads YAML files into nodes that know where they stand.
public enum YAMLDocument {
    /// Larger files are no plans.
    static let largestFile = 1 << 20
    /// Aliases may repeat nodes; a document that unfolds beyond this is an attack or an accident.
    static let mostNodes = 50_000

    /// The only document of the file at `path`.
    ///
    /// - Throws: `Failure(.configuration)` with file and line for anything that is not one YAML document, for a key given
    ///   twice and for application tags (`!name`), whose meaning would be lost.
    public static func read(_ path: String) throws -> ConfigNode {
        let data: Data
        do {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            if let size = attributes[.size] as? Int, size > largestFile {
                throw Failure(.configuration, "'\(path)' is larger than a configuration file may be (1 MiB)")
            }
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(
                .configuration, "unable to read '\(path)': \(FileReason.of(error))",
                hint: "Check the path given with --config and its permissions.")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw Failure(.configuration, "'\(path)' is not UTF-8 text")
        }
        return try parse(text, file: path)
    }

    /// The only document in `text`, which came from `file`.
    public static func parse(_ text: String, file: String) throws -> ConfigNode {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw failure(error, file)
        }
        guard let root else { throw Failure(.configuration, "\(file):1: the document is empty") }
        var conversion = NodeConversion(file: file)
        return try conversion.convert(root)
    }

    private static func failure(_ error: YamlError, _ file: String) -> Failure {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _):
            return Failure(.configuration, "\(file):\(mark.line): not valid YAML: \(problem)")
        case .composer(_, let problem, let mark, _):
            let text = problem.contains("another document") ? "a file holds one document only" : problem
            return Failure(.configuration, "\(file):\(mark.line): \(text)")
        case .duplicatedKeysInMapping(let names, let context):
            let name = names.first ?? ""
            return Failure(
                .configuration, "\(file):\(context.mark.line): key '\(name)' is given twice", hint: "Keep one of them.")
        default:
            return Failure(.configuration, "\(file): not valid YAML")
        }
    }
}

/// The step from Yams' nodes to ours.
private struct NodeConversion {
    let file: String
    private var count = 0

    init(file: String) { self.file = file }

    mutating func convert(_ node: Node) throws -> ConfigNode {
        let mark = place(node)
        count += 1
        guard count <= YAMLDocument.mostNodes else {
            throw Failure(.configuration, "\(mark): the document unfolds to more than \(YAMLDocument.mostNodes) values")
        }
        switch node {
        case .scalar(let scalar):
            try checkTag(scalar.tag, mark)
            return .scalar(scalar.string, isQuoted: scalar.style != .plain && scalar.style != .any, mark)
        case .sequence(let sequence):
            try checkTag(sequence.tag, mark)
            return .sequence(try sequence.map { try convert($0) }, mark)
        case .mapping(let mapping):
            try checkTag(mapping.tag, mark)
            var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = []
            var seen: [String: ConfigMark] = [:]
            for (key, value) in mapping {
                let keyMark = place(key)
                guard case .scalar(let name) = key else {
                    throw Failure(.configuration, "\(keyMark): a key must be text")
                }
                // Yams compares keys with their tags; for us `a` and `"a"` are one key.
                if let first = seen[name.string] {
                    throw Failure(
                        .configuration, "\(keyMark): key '\(name.string)' is given twice (first at line \(first.line))",
                        hint: "Keep one of them.")
                }
                seen[name.string] = keyMark
                pairs.append((name.string, keyMark, try convert(value)))
            }
            return .mapping(pairs, mark)
        case .alias:
            throw Failure(.configuration, "\(mark): an alias that refers to nothing")
        }
    }

    private func place(_ node: Node) -> ConfigMark {
        ConfigMark(file: file, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
    }

    private func checkTag(_ tag: Tag, _ mark: ConfigMark) throws {
        // Only a tag's description gives its name: empty when implicit, `!` for quoted scalars.
        let name = tag.description
        guard name.isEmpty || name == "!" || name.hasPrefix("tag:yaml.org,2002:") else {
            throw Failure(.configuration, "\(mark): the tag '\(name)' means nothing here", hint: "Remove the tag.")
        }
    }
}

/// The operating system's reason in an error of Foundation, for people.
enum FileReason {
    static func of(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        if let underlying, underlying.domain == NSPOSIXErrorDomain {
            return String(cString: strerror(Int32(underlying.code)))
        }
        let cocoa = error as NSError
        if cocoa.domain == NSPOSIXErrorDomain { return String(cString: strerror(Int32(cocoa.code))) }
        if cocoa.domain == NSCocoaErrorDomain, cocoa.code == 260 || cocoa.code == 4 {
            return "no such file or directory"
        }
        if cocoa.domain == NSCocoaErrorDomain, cocoa.code == 257 { return "permission denied" }
        return cocoa.localizedDescription
    }
}
