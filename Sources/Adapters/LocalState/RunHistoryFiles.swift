// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// The runs this host remembers of a plan: `runs/<plan>/<id>.<kind>.json`, those no repository has yet also in `pending/`,
/// and the run that began in `begun.json`.
public struct RunHistoryFiles: RunHistory {
    private let directory: StateDirectory
    private let waiting: StateDirectory
    private static let begunName = "begun.json"
    /// More than a year of nights.
    private static let limit = 500

    public init(_ root: StateDirectory, plan: String) {
        directory = root.below("runs").below(plan)
        waiting = directory.below("pending")
    }

    public func runs(_ kind: RunRecord.Kind?, newest count: Int) throws -> [RunRecord] {
        let names = try Self.records(directory).filter { kind == nil || $0.kind == kind }.suffix(count)
        return try names.compactMap { try Self.load($0.name, directory) }
    }

    public func begin(_ record: RunRecord) throws {
        try directory.write(Self.begunName, try Self.encode(record))
    }

    public func begun() throws -> RunRecord? { try Self.load(Self.begunName, directory) }

    public func keep(_ record: RunRecord) throws {
        let name = RunRecord.fileName(record.id, record.kind)
        let bytes = try Self.encode(record)
        try waiting.write(name, bytes)
        try directory.write(name, bytes)
        if record.kind == .backup { try directory.remove(Self.begunName) }
        let pending = Set(try waiting.names())
        for old in try Self.records(directory).dropLast(Self.limit) where !pending.contains(old.name) {
            try directory.remove(old.name)
        }
    }

    public func pending() throws -> [RunRecord] {
        try Self.records(waiting).compactMap { try Self.load($0.name, waiting) }
    }

    public func setStored(_ ids: [BundleID]) throws {
        for record in try Self.records(waiting) where ids.contains(record.id) { try waiting.remove(record.name) }
    }

    /// Oldest first.
    private static func records(
        _ folder: StateDirectory
    ) throws -> [(name: String, id: BundleID, kind: RunRecord.Kind)] {
        try folder.names().compactMap { name in
            RunRecord.parse(fileName: name).map { (name, $0.id, $0.kind) }
        }
    }

    private static func load(_ name: String, _ folder: StateDirectory) throws -> RunRecord? {
        guard let bytes = try folder.read(name) else { return nil }
        return try? JSONDecoder().decode(RunRecord.self, from: Data(bytes))  // damaged is none, as the port says
    }

    private static func encode(_ record: RunRecord) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(record))
        } catch {
            throw Failure.wrapping(error, as: .internalError, "the record of the run")
        }
    }
}
