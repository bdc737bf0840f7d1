// SPDX-License-Identifier: Apache-2.0

/// An adapter that can restore into an engine or folder made for the purpose, far from anything live: a drill is held there.
public protocol DrillingAdapter: SourceAdapter {
    /// Starts an empty engine below `folder` and gives `body` the adapter that restores into it. When the body ends, however,
    /// the engine is ended; whoever made the folder removes it. Local programs only: the adapter's transport is not used.
    ///
    /// - Parameter folder: absolute; empty, mode 0711, on a file system with room for the restored data.
    /// - Throws: `Failure(.programMissing)` when this host has no such engine, and what the body throws.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result

    /// Asks what was restored, of the adapter that `inScratch` gives.
    ///
    /// - Parameter database: nil: the only one.
    /// - Returns: the one value of the one row of the answer; nil: NULL.
    /// - Throws: `Failure(.restoreBlocked)` when the system knows no such questions; what the engine says of a wrong one.
    func answer(_ sql: String, database: String?, in restore: SourceRestore) async throws -> String?

    /// How an operator's program finds what was restored: names and values for its environment.
    func places(of restore: SourceRestore) -> [String: String]
}

extension DrillingAdapter {
    public func answer(_ sql: String, database: String?, in restore: SourceRestore) async throws -> String? {
        throw Failure(
            .restoreBlocked, "source '\(restore.contents.name)' cannot be asked in SQL",
            hint: "Ask it with 'command'.")
    }

    public func places(of restore: SourceRestore) -> [String: String] { [:] }
}

/// Why sources of a kind are not drilled.
public struct DrillRefusal: Sendable, Equatable {
    /// Follows "'kind' sources cannot be drilled: ".
    public var reason: String
    /// One sentence with what to do instead.
    public var instead: String

    public init(_ reason: String, instead: String) {
        self.reason = reason
        self.instead = instead
    }

    /// For kinds whose server this host has no throw-away copy of.
    ///
    /// - Parameter engine: what would have to be started: `Qdrant`.
    public static func needsEngine(_ engine: String) -> DrillRefusal {
        DrillRefusal(
            "Salvor starts no \(engine) of its own",
            instead:
                "Restore it into a test \(engine) with 'salvor restore --stage-only' and a plan that reaches that one, "
                + "or prove the bundle with 'salvor validate-backup --level contents'; leave it out here with --source."
        )
    }
}

/// What an operator wants to hold of a restored source, asked in a drill.
public struct DrillAssertion: Sendable, Equatable {
    public var question: Question
    /// Seconds that the answer may take.
    public var timeLimit: Int

    /// As long as the answer may take unless the plan says so.
    public static let standardTimeLimit = 300

    /// How it is asked.
    public enum Question: Sendable, Equatable {
        /// Must give one row with one true value. nil: the source's only database.
        case sql(String, database: String?)
        /// A program with its arguments, which must end with status 0.
        case command([String])
    }

    public init(_ question: Question, timeLimit: Int = standardTimeLimit) {
        self.question = question
        self.timeLimit = timeLimit
    }

    /// For people, on one line.
    public var text: String {
        switch question {
        case .sql(let text, nil): text
        case .sql(let text, let database?): "\(text) [\(database)]"
        case .command(let words): words.joined(separator: " ")
        }
    }
}

/// The kinds of questions a drill can ask of a system.
public struct DrillQuestions: OptionSet, Sendable {
    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Programs that find what was restored by their environment.
    public static let command = DrillQuestions(rawValue: 1)
    public static let sql = DrillQuestions(rawValue: 2)
}
