// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A subject that trouble is about. Each has one open incident at most for a plan, whatever its events are.
public enum TroubleKind: String, Sendable, Codable, CaseIterable, CodingKeyRepresentable, Comparable {
    /// The plan's backups: failed or partial.
    case run
    case overdue
    case validation
    case drill
    case anomaly
    case keys
    case storage
    case prune

    /// In the order of declaration, worst first.
    public static func < (left: TroubleKind, right: TroubleKind) -> Bool { left.rank < right.rank }

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    /// What it is called in a message.
    public var words: String {
        switch self {
        case .run: "backup"
        case .overdue: "recovery point"
        case .validation: "validation"
        case .drill: "drill"
        case .anomaly: "size and duration"
        case .keys: "keys"
        case .storage: "room in the repository"
        case .prune: "prune"
        }
    }
}

/// Something to type, or to do where no command helps.
public struct NextStep: Sendable, Codable, Equatable {
    /// A whole command line; nil: the purpose says it all.
    public var command: String?
    public var purpose: String

    public init(_ command: String?, _ purpose: String) {
        self.command = command
        self.purpose = purpose
    }
}

/// One thing that is wrong with a plan, seen at one moment.
public struct Finding: Sendable, Equatable {
    public var trouble: TroubleKind
    public var event: NotificationEvent
    /// Since when, as far as is known.
    public var since: Timestamp
    /// What makes it the same news as another finding of this trouble.
    public var signature: String
    /// A title's end, such as `backup failed`.
    public var title: String
    /// Sentences, one line each.
    public var what: [String]
    public var next: [NextStep]
    public var severity: NotificationSeverity
    /// The bundle it is about; nil: none.
    public var subject: BundleID?

    public init(
        _ trouble: TroubleKind, _ event: NotificationEvent, since: Timestamp, signature: String, title: String,
        what: [String], next: [NextStep], severity: NotificationSeverity, subject: BundleID? = nil
    ) {
        self.trouble = trouble
        self.event = event
        self.since = since
        self.signature = signature
        self.title = title
        self.what = what
        self.next = next
        self.severity = severity
        self.subject = subject
    }
}

/// What was seen of a plan at one moment: what is wrong, and what is certainly right.
public struct Assessment: Sendable, Equatable {
    public var findings: [Finding]
    /// Kinds of trouble that are over if they were open. What is neither found nor cleared stays as it is.
    public var cleared: Set<TroubleKind>
    /// A whole backup was made.
    public var isSuccess: Bool

    public init(findings: [Finding] = [], cleared: Set<TroubleKind> = [], isSuccess: Bool = false) {
        self.findings = findings
        self.cleared = cleared
        self.isSuccess = isSuccess
    }
}

/// Text from elsewhere (a server's, a program's) made fit for a line of a message.
public enum OneLine {
    /// Without control characters, blanks in runs, and all beyond `limit` characters.
    public static func of(_ text: String, limit: Int = 300) -> String {
        let clean = String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    let isControl = scalar.properties.generalCategory == .control || scalar == "\u{2028}"
                    // Marks that turn the direction of writing would let a text pose as another one.
                    let isFormat = scalar.properties.generalCategory == .format
                    return isControl || isFormat ? " " : scalar
                }))
        let line = clean.split(separator: " ").joined(separator: " ")
        return line.count > limit ? "\(line.prefix(limit))…" : line
    }
}
