// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain

/// Compares two bundles: facts, files, dumps.
public struct BundleDifference: Sendable {
    let repository: any BundleRepository

    public init(repository: any BundleRepository) {
        self.repository = repository
    }

    /// One difference.
    public struct Change: Sendable, Codable, Equatable {
        /// How the second bundle differs from the first.
        public enum Kind: String, Sendable, Codable {
            case added, removed, changed
        }

        public var source: String
        public var kind: Kind
        /// `fact app/users rows`, `file etc/app.conf`, `stream db.app`.
        public var what: String
        public var before: String?
        public var after: String?
    }

    public func run(_ first: BundleID, _ second: BundleID) async throws -> [Change] {
        let (old, new) = (try await repository.open(first), try await repository.open(second))
        var changes: [Change] = []
        let names = Set((old.manifest.sources + new.manifest.sources).filter { $0.state == .ok }.map(\.name)).sorted()
        for name in names {
            for bundle in [old, new] {
                if let failure = bundle.sealed[name] { throw failure }
            }
            let (before, after) = (old.contents.source(name), new.contents.source(name))
            guard let before, let after else {
                changes.append(
                    Change(
                        source: name, kind: before == nil ? .added : .removed, what: "source", before: nil, after: nil))
                continue
            }
            for fact in before.facts.compared(with: after.facts) where !fact.isEqual {
                changes.append(
                    Change(
                        source: name, kind: Self.kind(fact.recorded != nil, fact.found != nil),
                        what: "fact \(fact.name)",
                        before: fact.recorded?.description, after: fact.found?.description))
            }
            changes += try await streams(name, old, new)
        }
        return changes
    }

    private func streams(
        _ source: String, _ old: any OpenedBundle, _ new: any OpenedBundle
    ) async throws -> [Change] {
        let (before, after) = (try await old.streams(of: source), try await new.streams(of: source))
        var changes: [Change] = []
        for name in Set((before + after).map(\.name)).sorted() {
            let (left, right) = (before.first { $0.name == name }, after.first { $0.name == name })
            if (left ?? right)?.kind == .tar {
                changes += try files(source, left, right)
            } else if left?.receipt != right?.receipt {
                changes.append(
                    Change(
                        source: source, kind: Self.kind(left != nil, right != nil), what: "stream \(name)",
                        before: left.map { "\($0.receipt.length) bytes" },
                        after: right.map { "\($0.receipt.length) bytes" }))
            }
        }
        return changes
    }

    private func files(
        _ source: String, _ left: (any StoredStream)?, _ right: (any StoredStream)?
    ) throws -> [Change] {
        var before: [[UInt8]: TreeMember] = [:]
        if let left { try EffectiveTree.forEach(left) { member, _ in before[member.path] = member } }
        var changes: [Change] = []
        if let right {
            try EffectiveTree.forEach(right) { member, _ in
                guard let known = before.removeValue(forKey: member.path) else {
                    changes.append(Self.change(source, .added, member.displayPath, nil, member))
                    return
                }
                let isSame =
                    known.kind == member.kind && known.mode == member.mode && known.userID == member.userID
                    && known.groupID == member.groupID && known.size == member.size
                    && known.modified == member.modified && known.sha256 == member.sha256
                if !isSame { changes.append(Self.change(source, .changed, member.displayPath, known, member)) }
            }
        }
        for (_, member) in before.sorted(by: { WalkOrder.compare($0.key, $1.key) < 0 }) {
            changes.append(Self.change(source, .removed, member.displayPath, member, nil))
        }
        return changes
    }

    private static func change(
        _ source: String, _ kind: Change.Kind, _ path: String, _ before: TreeMember?, _ after: TreeMember?
    ) -> Change {
        Change(
            source: source, kind: kind, what: "file \(path)", before: before.map { "\($0.size) bytes" },
            after: after.map { "\($0.size) bytes" })
    }

    private static func kind(_ wasThere: Bool, _ isThere: Bool) -> Change.Kind {
        wasThere ? (isThere ? .changed : .removed) : .added
    }
}
