// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// What every command prints with `--json`: one object, versioned by `schema`, holding a result, an error, or both when
/// part of the work was done.
public struct JSONEnvelope<Result: Encodable>: Encodable {
    /// The version of every command's document; a number is added to when a field changes its meaning or goes.
    public static var version: Int { 1 }

    private let schema: String
    private let command: String
    private let at: Timestamp
    private let result: Result?
    private let error: JSONError?

    /// - Parameters:
    ///   - command: the command's name, such as `list-backups`.
    ///   - at: when the document was made.
    public init(command: String, at: Timestamp, result: Result?, failure: Failure? = nil) {
        schema = "salvor.\(command.replacing(" ", with: "-"))/\(Self.version)"
        self.command = command
        self.at = at
        self.result = result
        error = failure.map(JSONError.init)
    }

    /// The document, keys sorted, ending in a newline.
    public func text() throws -> String {
        try JSONText.of(self, isPretty: true) + "\n"
    }
}

/// An error as `--json` and progress lines show it.
public struct JSONError: Codable, Sendable, Equatable {
    public var code: String
    public var message: String
    public var hint: String?

    /// The parts of `failure` that are for others.
    public init(_ failure: Failure) {
        code = failure.code.text
        message = failure.summary
        hint = failure.hint
    }
}

/// An empty result, for commands that only fail or succeed.
public struct NoResult: Codable, Sendable {
    public init() {}
}

/// The one way JSON is written here.
enum JSONText {
    static func of(_ value: some Encodable, isPretty: Bool) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if isPretty { encoder.outputFormatting.insert(.prettyPrinted) }
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch {
            throw Failure(.internalError, "unable to write the result as JSON")
        }
    }
}
