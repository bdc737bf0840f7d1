// SPDX-License-Identifier: Apache-2.0
public import FileSystem
import Glibc

/// Where members are put: those at or below `prefix` go to `name` in `directory`, the prefix replaced by the name.
public struct ExtractionDestination: Sendable {
    /// Raw bytes of a member name; empty: every member, below `directory` itself (and `name` is not used).
    public var prefix: [UInt8]
    /// Held open, so that nobody can exchange it under the extraction.
    public var directory: Descriptor
    /// One part of a path.
    public var name: [UInt8]

    public init(prefix: [UInt8], directory: Descriptor, name: [UInt8]) {
        self.prefix = prefix
        self.directory = directory
        self.name = name
    }

    /// Everything below `directory`.
    public init(directory: Descriptor) {
        self.init(prefix: [], directory: directory, name: [])
    }

    /// Where `path` goes, relative to `directory`; nil when it is not below `prefix`.
    func place(of path: [UInt8]) -> [UInt8]? {
        if prefix.isEmpty { return path }
        guard path.starts(with: prefix) else { return nil }
        if path.count == prefix.count { return name }
        guard path[prefix.count] == UInt8(ascii: "/") else { return nil }
        return name + path[prefix.count...]
    }
}

/// What an extraction may do.
public struct ExtractionRules: Sendable {
    /// Whether device nodes are made; refused otherwise.
    public var allowsDevices: Bool
    /// Whether members are given their owners. Without the right to, owners not applied are counted in the report.
    public var appliesOwners: Bool
    /// Whether `finish` throws when a member was refused.
    public var failsOnRefusal: Bool

    public init(allowsDevices: Bool = false, appliesOwners: Bool = true, failsOnRefusal: Bool = true) {
        self.allowsDevices = allowsDevices
        self.appliesOwners = appliesOwners
        self.failsOnRefusal = failsOnRefusal
    }
}

/// What is done with one member.
public enum ExtractionDecision: Sendable {
    /// Extract it; `digest`: compute the SHA-256 of a regular file's content for `finished`.
    case extract(digest: Bool)
    /// Not wanted.
    case skip
    /// Must not be; the reason goes into the report.
    case refuse(String)
}

/// What an extraction did.
public struct ExtractionReport: Sendable, Equatable {
    /// Regular files with their own content.
    public var files = 0
    public var directories = 0
    public var symbolicLinks = 0
    public var hardLinks = 0
    /// Fifos and devices.
    public var specials = 0
    /// Apparent bytes of the files.
    public var bytes: UInt64 = 0
    /// Members that could not be extracted safely, at most a thousand.
    public var refused: [RefusedMember] = []
    /// Members whose owner could not be set, for lack of the right to.
    public var ownersNotApplied = 0
    /// Attributes and ACLs that could not be set, at most a thousand.
    public var attributesNotApplied: [RefusedMember] = []

    public init() {}

    mutating func refuse(_ path: [UInt8], _ reason: String) {
        if refused.count < 1000 { refused.append(RefusedMember(path: path, reason: reason)) }
    }
}

/// A member cannot be extracted safely; the extraction goes on with the next.
struct Refusal: Error {
    var reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}
