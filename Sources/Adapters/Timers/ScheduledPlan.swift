// SPDX-License-Identifier: Apache-2.0
public import Domain

/// All that a scheduler has to know of a plan.
public struct ScheduledPlan: Sendable {
    public var name: String
    /// The file it was read from, for people.
    public var file: String
    public var schedule: Schedule
    /// Absolute path of the salvor to run.
    public var program: String
    /// Absolute path of the configuration.
    public var configuration: String
    public var stateDirectory: String
    /// Where gpg's keyring is.
    public var keyring: String
    /// The account to run as; nil: root.
    public var user: String?
    public var credentials: [Credential]
    /// Names of variables that the plan takes secrets from, and the file to read them from.
    public var variables: [String]
    public var variablesFile: String
    /// Folders that runs write to, beside the state directory and the keyring.
    public var writableFolders: [String]
    /// What a run may do that other accounts may not, such as `CAP_DAC_READ_SEARCH`.
    public var capabilities: [String]
    /// Whether a source or the repository is below /tmp or /var/tmp, which a service otherwise has to itself.
    public var sharesTemporaryFolders: Bool
    /// Whether sources are reached as the pod that a run is in: no kubeconfig of theirs says otherwise.
    public var usesServiceAccount: Bool

    /// A secret that systemd hands to the service.
    public struct Credential: Sendable, Equatable {
        public var name: String
        /// The file systemd reads it from.
        public var path: String

        public init(name: String, path: String) {
            self.name = name
            self.path = path
        }
    }

    public init(
        name: String, file: String, schedule: Schedule, program: String, configuration: String, stateDirectory: String,
        keyring: String, user: String? = nil, credentials: [Credential] = [], variables: [String] = [],
        variablesFile: String = "", writableFolders: [String] = [], capabilities: [String] = [],
        sharesTemporaryFolders: Bool = false, usesServiceAccount: Bool = false
    ) {
        self.name = name
        self.file = file
        self.schedule = schedule
        self.program = program
        self.configuration = configuration
        self.stateDirectory = stateDirectory
        self.keyring = keyring
        self.user = user
        self.credentials = credentials
        self.variables = variables
        self.variablesFile = variablesFile
        self.writableFolders = writableFolders
        self.capabilities = capabilities
        self.sharesTemporaryFolders = sharesTemporaryFolders
        self.usesServiceAccount = usesServiceAccount
    }

    /// The jobs that the schedule has times for.
    var jobs: [Schedule.Job] { Schedule.Job.allCases.filter { !schedule.calendar($0).isEmpty } }

    /// salvor's arguments for a job.
    func arguments(_ job: Schedule.Job) -> [String] {
        switch job {
        // A run by hand, or one that is late, is waited for: the night is not lost for it.
        case .backup: ["backup", name, "--wait", "12h"]
        case .validate:
            ["validate-backup", "latest:\(name)", "--plan", name]
                + ["--level", (schedule.validation?.level ?? .checksum).rawValue]
                + (schedule.validation?.which == .all ? ["--all"] : [])
        case .prune: ["prune", name, "--apply"]
        case .drill: ["drill", "latest-good:\(name)", "--plan", name]
        case .check: ["notify", "check", name]
        }
    }

    /// What a job does, for people.
    func title(_ job: Schedule.Job) -> String {
        switch job {
        case .backup: "Backup of plan \(name)"
        case .validate: "Validation of plan \(name)'s bundles"
        case .prune: "Prune of plan \(name)"
        case .drill: "Drill of plan \(name)"
        case .check: "Look for trouble of plan \(name)"
        }
    }

    /// What a run of a job may do that other accounts may not.
    func capabilities(_ job: Schedule.Job) -> [String] {
        // The engines of a drill run under accounts of their own, and what they wrote is removed.
        let own = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"]
        return job == .drill ? (capabilities + own.filter { !capabilities.contains($0) }) : capabilities
    }

    /// Set for every run.
    var environment: [(name: String, value: String)] {
        [("SALVOR_CONFIG", configuration), ("SALVOR_STATE_DIR", stateDirectory), ("GNUPGHOME", keyring)]
    }
}

/// A file for a scheduler.
public struct ScheduleFile: Sendable, Codable, Equatable {
    public var name: String
    public var text: String

    /// The first line of every file that `timers install` writes: what has it may be replaced and removed.
    static func marker(_ plan: String) -> String {
        "\(markerBegin)\(plan)\(markerEnd)the next install replaces this file, 'salvor timers remove \(plan)' removes it."
    }

    private static let markerBegin = "# Made by 'salvor timers install' for plan "
    private static let markerEnd = "; "

    /// The plan that a file was made for; nil: it is somebody else's.
    static func plan(ofText text: String) -> String? {
        guard let line = text.split(separator: "\n", maxSplits: 1).first.map(String.init),
            let rest = line.droppingPrefix(markerBegin), let end = rest.firstRange(of: markerEnd)
        else { return nil }
        let name = String(rest[..<end.lowerBound])
        return SafeName.isValid(name) && line == marker(name) ? name : nil
    }
}
