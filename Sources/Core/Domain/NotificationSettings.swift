// SPDX-License-Identifier: Apache-2.0

/// What people are told about.
public enum NotificationEvent: String, Sendable, Codable, CaseIterable {
    /// A run gave no bundle, or died.
    case failed
    /// A run gave a bundle without some of its sources.
    case partial
    /// What was told as trouble is over.
    case recovered
    /// The last good bundle is older than the recovery-point objective.
    case overdue
    case validationFailed = "validation-failed"
    case drillFailed = "drill-failed"
    /// Size or duration far from what the plan's runs usually have.
    case anomaly
    /// A key or certificate ends soon, or has ended.
    case expiring
    case storageFilling = "storage-filling"
    /// A run gave a whole bundle. Only for channels that ask for it.
    case success

    /// What a channel is told unless its `on` says otherwise: every kind of trouble and its end.
    public static let standard = allCases.filter { $0 != .success }
}

/// One way to tell people, or a machine that tells people.
public struct NotificationChannel: Sendable {
    /// Unique in its plan; the kind's name unless the plan gives one.
    public var name: String
    public var kind: Kind
    public var events: [NotificationEvent]
    /// Whether messages hold the run's whole record instead of the reason alone.
    public var includesLog: Bool
    /// Seconds after which trouble that lasts is told again.
    public var reminderSeconds: Int
    /// Seconds for one delivery.
    public var timeLimit: Int
    /// A PEM file of certificate authorities to trust instead of the system's.
    public var caFile: String?
    /// Where the channel stands in the plan.
    public var mark: ConfigMark

    /// The kinds of channel with what only they have.
    public enum Kind: Sendable {
        case email(EmailChannel)
        /// A Slack incoming webhook.
        case slack(url: SecretReference)
        case pagerDuty(PagerDutyChannel)
        case webhook(WebhookChannel)
        /// A dead-man's switch: hears of every run, and raises the alarm itself when it hears nothing.
        case ping(PingChannel)

        /// The key in the plan.
        public var name: String {
            switch self {
            case .email: "email"
            case .slack: "slack"
            case .pagerDuty: "pagerduty"
            case .webhook: "webhook"
            case .ping: "ping"
            }
        }
    }

    public static let standardReminder = 86_400
    public static let standardTimeLimit = 15

    public init(
        name: String, kind: Kind, events: [NotificationEvent] = NotificationEvent.standard, includesLog: Bool = false,
        reminderSeconds: Int = standardReminder, timeLimit: Int = standardTimeLimit, caFile: String? = nil,
        mark: ConfigMark
    ) {
        self.name = name
        self.kind = kind
        self.events = events
        self.includesLog = includesLog
        self.reminderSeconds = reminderSeconds
        self.timeLimit = timeLimit
        self.caFile = caFile
        self.mark = mark
    }
}

/// E-mail through a mail server.
public struct EmailChannel: Sendable {
    public var to: [String]
    /// nil: `salvor@` and the host's name.
    public var from: String?
    public var host: String
    public var port: Int
    public var security: Security
    public var user: String?
    public var password: SecretReference?

    /// How the connection to the mail server is protected.
    public enum Security: String, Sendable, CaseIterable {
        /// TLS from the first byte (`smtps://`).
        case implicit
        /// STARTTLS, or no mail.
        case required
        /// None: for a mail server on this very host, or one that has no TLS and gets no password.
        case off
    }

    public init(
        to: [String], from: String? = nil, host: String, port: Int, security: Security, user: String? = nil,
        password: SecretReference? = nil
    ) {
        self.to = to
        self.from = from
        self.host = host
        self.port = port
        self.security = security
        self.user = user
        self.password = password
    }
}

/// PagerDuty's Events API v2.
public struct PagerDutyChannel: Sendable {
    public var routingKey: SecretReference
    /// `https://events.pagerduty.com` or the one of another region.
    public var endpoint: String
    /// nil: by event.
    public var severity: NotificationSeverity?

    public init(routingKey: SecretReference, endpoint: String, severity: NotificationSeverity? = nil) {
        self.routingKey = routingKey
        self.endpoint = endpoint
        self.severity = severity
    }
}

/// How bad it is, in PagerDuty's words.
public enum NotificationSeverity: String, Sendable, Codable, CaseIterable {
    case critical, error, warning, info
}

/// Any HTTP server that takes Salvor's own JSON.
public struct WebhookChannel: Sendable {
    public var url: URLSource
    /// Signs every message; nil: unsigned.
    public var secret: SecretReference?
    /// Sent as `Authorization: Bearer …`.
    public var token: SecretReference?

    /// A URL as it is written, or where it is kept when somebody who knows it could do harm.
    public enum URLSource: Sendable {
        case plain(String)
        case kept(SecretReference)
    }

    public init(url: URLSource, secret: SecretReference? = nil, token: SecretReference? = nil) {
        self.url = url
        self.secret = secret
        self.token = token
    }
}

/// The URLs of a dead-man's switch. Whoever knows them can say that all is well, so they are secrets.
public struct PingChannel: Sendable {
    /// As healthchecks.io has it: success as it is, `/start` and `/fail` added.
    public var base: SecretReference?
    public var start: SecretReference?
    public var success: SecretReference?
    public var fail: SecretReference?

    public init(
        base: SecretReference? = nil, start: SecretReference? = nil, success: SecretReference? = nil,
        fail: SecretReference? = nil
    ) {
        self.base = base
        self.start = start
        self.success = success
        self.fail = fail
    }
}
