// SPDX-License-Identifier: Apache-2.0
import Domain

/// The settings of a source that is a program's output. Programs are argument vectors; no shell is between.
struct CommandSettings: Sendable {
    /// Variables of all its programs, as references to secrets or as plain text.
    var environment: [(name: String, value: SecretReference)] = []
    /// Must end with 0 before anything is captured.
    var preflight: [String]?

    // Capture.
    /// Its standard output is the stream.
    var run: [String]
    /// What the last line that is not empty must look like.
    var end: String?
    /// Gets the stream on standard input and must end with 0.
    var check: [String]?
    /// Gets the stream on standard input and prints what it counted.
    var count: [String]?
    /// Its first line of output is what the copy came from.
    var version: [String]?
    var fileName = "output"
    var mayBeEmpty = false

    // Restore.
    /// Gets the stream on standard input and puts it where it belongs.
    var restore: [String]
    /// Gets the stream on standard input and puts it beside.
    var stage: [String]?
    var verify: [String]?
    var countStaged: [String]?
    var promote: [String]?
    var rollBack: [String]?
    var abandon: [String]?
    var settle: [String]?

    private static let captureKeys = ["run", "end", "check", "count", "version", "file-name", "may-be-empty"]
    private static let restoreKeys = [
        "run", "stage", "verify", "count", "promote", "roll-back", "abandon", "settle",
    ]

    /// - Throws: `Failure(.configuration)` with file and line.
    init(_ node: ConfigNode, path: String) throws {
        let reader = try ConfigReader(
            node, path: path, allowed: ["environment", "preflight", "capture", "restore"])
        guard let capture = try reader.mapping("capture", allowed: Self.captureKeys) else {
            throw reader.failure("capture", "is required", hint: "Name the program: 'capture: {run: [PROGRAM, ARG]}'.")
        }
        guard let restore = try reader.mapping("restore", allowed: Self.restoreKeys) else {
            throw reader.failure(
                "restore", "is required",
                hint:
                    "A copy that nobody can put back is no backup: name the program in 'restore: {run: [PROGRAM, ARG]}'."
            )
        }
        preflight = try Self.vector(reader, "preflight")
        guard let run = try Self.vector(capture, "run") else { throw capture.failure("run", "is required") }
        self.run = run
        guard let program = try Self.vector(restore, "run") else {
            throw restore.failure(
                "run", "is required", hint: "It gets the stream on its standard input and puts it where it belongs.")
        }
        self.restore = program
        end = try capture.string("end")
        if end?.isEmpty == true { throw capture.failure("end", "must not be empty") }
        check = try Self.vector(capture, "check")
        count = try Self.vector(capture, "count")
        version = try Self.vector(capture, "version")
        fileName = try capture.string("file-name") ?? fileName
        guard SafeName.isValid(fileName) else {
            throw capture.failure("file-name", "must be a plain file name of letters, digits, '.', '_' and '-'")
        }
        mayBeEmpty = try capture.bool("may-be-empty") ?? false
        stage = try Self.vector(restore, "stage")
        verify = try Self.vector(restore, "verify")
        countStaged = try Self.vector(restore, "count")
        promote = try Self.vector(restore, "promote")
        rollBack = try Self.vector(restore, "roll-back")
        abandon = try Self.vector(restore, "abandon")
        settle = try Self.vector(restore, "settle")
        for (key, value) in [("promote", promote), ("abandon", abandon), ("count", countStaged), ("verify", verify)]
        where value != nil && stage == nil {
            throw restore.failure(key, "needs a 'stage' program", hint: "Without one, nothing is put beside.")
        }
        if countStaged != nil, count == nil { throw restore.failure("count", "needs 'capture.count' to compare with") }
        try readEnvironment(reader)
    }

    private mutating func readEnvironment(_ reader: ConfigReader) throws {
        guard let node = reader.node("environment") else { return }
        guard case .mapping(let pairs, _) = node else { throw reader.failure("environment", "must be a mapping") }
        for pair in pairs {
            guard case .scalar(let text, _, let mark) = pair.value else {
                throw Failure(
                    .configuration, "\(pair.mark): '\(reader.path(of: "environment")).\(pair.key)' must be text")
            }
            guard let first = pair.key.utf8.first, !(48...57).contains(first),
                pair.key.utf8.allSatisfy({
                    ($0 >= 65 && $0 <= 90) || ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 95
                }), !pair.key.hasPrefix("SALVOR_")
            else {
                throw Failure(
                    .configuration,
                    "\(pair.mark): '\(pair.key)' cannot be the name of a variable here",
                    hint: "Letters, digits and '_'; names that begin with SALVOR_ are Salvor's own.")
            }
            environment.append((pair.key, SecretReference(text, mark: mark)))
        }
    }

    /// A program and its arguments; nil when absent. A single text would have to be split by somebody's rules.
    private static func vector(_ reader: ConfigReader, _ key: String) throws -> [String]? {
        guard let node = reader.node(key) else { return nil }
        guard case .sequence = node, let words = try reader.strings(key), let first = words.first, !first.isEmpty else {
            throw reader.failure(
                key, "must be a list of a program and its arguments", hint: "Write '[pg_dump, --format=custom, app]'.")
        }
        guard !words.contains(where: { $0.utf8.contains(0) }) else { throw reader.failure(key, "holds a NUL") }
        return words
    }

    /// Every program with the key that names it.
    var programs: [(key: String, words: [String])] {
        [
            ("preflight", preflight), ("capture.run", run), ("capture.check", check), ("capture.count", count),
            ("capture.version", version), ("restore.run", restore), ("restore.stage", stage),
            ("restore.verify", verify),
            ("restore.count", countStaged), ("restore.promote", promote), ("restore.roll-back", rollBack),
            ("restore.abandon", abandon), ("restore.settle", settle),
        ].compactMap { key, words in words.map { (key, $0) } }
    }

    static let schema: JSONValue = {
        func vector(_ description: String) -> JSONValue {
            [
                "type": "array", "items": ["type": "string"], "minItems": 1, "description": .string(description),
            ]
        }
        return [
            "type": "object",
            "additionalProperties": false,
            "required": ["capture", "restore"],
            "properties": [
                "environment": [
                    "type": "object", "additionalProperties": ["type": "string"],
                    "description": "Variables of all programs, as text or references: file:, env:, credential:.",
                ],
                "preflight": vector("Must end with 0 before anything is captured."),
                "capture": [
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["run"],
                    "properties": [
                        "run": vector("Its standard output is stored."),
                        "end": [
                            "type": "string",
                            "description":
                                "What the last line that is not empty must look like; * stands for any text.",
                        ],
                        "check": vector("Gets the output on its standard input and must end with 0."),
                        "count": vector("Gets the output on its standard input and prints 'NAME NUMBER' lines."),
                        "version": vector("The first line it prints says what the copy came from."),
                        "file-name": ["type": "string", "default": "output"],
                        "may-be-empty": ["type": "boolean", "default": false],
                    ],
                ],
                "restore": [
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["run"],
                    "properties": [
                        "run": vector("Gets the copy on its standard input and puts it where it belongs."),
                        "stage": vector("Gets the copy on its standard input and puts it beside."),
                        "verify": vector("Must end with 0 for the staged copy to be promoted."),
                        "count": vector("Prints of the staged copy what 'capture.count' printed of the output."),
                        "promote": vector("Puts the staged copy in place; default: 'run' with the copy once more."),
                        "roll-back": vector("Puts the old state back after a promotion."),
                        "abandon": vector("Removes what 'stage' made."),
                        "settle": vector("Removes the old state."),
                    ],
                ],
            ],
        ]
    }()
}
