// SPDX-License-Identifier: Apache-2.0

/// Every key a plan may have, mapping by mapping; `manifests/schema/plan.schema.json` has the same, and a test compares.
enum PlanKeys {
    static let plan = [
        "plan", "repository", "encryption", "sources", "consistency", "retention", "schedule", "objectives", "notify",
        "hooks", "local-base", "quiesce",
    ]
    static let repository = ["store", "s3", "access"]
    static let s3 = [
        "endpoint", "region", "addressing", "credentials", "ca-file", "proxy", "storage-class", "object-lock",
    ]
    static let credentials = ["access-key", "secret-key", "session-token", "profile"]
    static let objectLock = ["mode", "days"]
    static let encryption = ["recipients", "signer", "prove"]
    /// Beside these, a source has its adapter's keys.
    static let source = [
        "name", "adapter", "transport", "recipients", "time-limit", "retries", "retry-delay", "index", "freeze",
        "drill",
    ]
    static let drill = ["assert", "restore"]
    static let assertion = ["sql", "database", "command", "time-limit"]
    /// The kinds of transport, and what the mapping of each may have.
    static let transports = [
        "docker": ["container", "user", "engine"],
        "podman": ["container", "user", "engine"],
        "compose": ["project", "service", "user", "engine"],
        "kubernetes": ["namespace", "pod", "selector", "container", "context", "kubeconfig"],
        "ssh": ["host", "user", "port", "identity", "known-hosts"],
    ]
    /// What a plan's or a policy's mapping may have; `policy` only in a plan, and then alone.
    static let retention = ["policy"] + retentionRules + ["minimum-good", "minimum-proof", "grace", "tags"]
    /// What a tag may have.
    static let retentionRules = [
        "within", "last", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly",
    ]
    static let schedule = ["calendar", "randomized-delay", "validate", "prune", "drill", "check"]
    static let scheduledValidation = ["calendar", "level", "which"]
    static let scheduledTimes = ["calendar"]
    static let hooks = ["before", "after", "failure"]
    static let hook = ["run", "on-failure", "time-limit"]
    static let quiesce = ["pause", "resume", "time-limit"]
    static let objectives = ["recovery-point", "recovery-time", "drill-every"]
    static let notifyChannels = ["email", "slack", "pagerduty", "webhook", "ping"]
    /// Beside its kind, a channel has these.
    static let notify = ["name", "on", "include-log", "remind"]
    /// What each kind of channel has of its own.
    static let channels = [
        "email": ["to", "from", "smtp", "tls", "user", "password"],
        "slack": ["webhook-url"],
        "pagerduty": ["routing-key", "region", "endpoint", "severity"],
        "webhook": ["url", "secret", "token"],
        "ping": ["base-url", "start-url", "success-url", "fail-url"],
    ]
    /// What every kind of channel has.
    static let channelReach = ["ca-file", "time-limit"]
    static let host = ["host", "state-directory", "metrics-file", "defaults"]
    /// The parts of a plan that `defaults` in salvor.yaml may give.
    static let defaults = [
        "repository", "encryption", "consistency", "retention", "schedule", "objectives", "notify", "hooks",
        "local-base",
    ]

    /// Names under which any part of the configuration holds a secret.
    static let secrets: Set<String> = [
        "access-key", "secret-key", "session-token", "password", "passphrase", "secret", "token", "api-key",
        "master-key", "routing-key", "integration-key", "webhook-url", "base-url", "start-url", "success-url",
        "fail-url",
    ]
}
