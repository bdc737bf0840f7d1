// SPDX-License-Identifier: Apache-2.0
import Channels
import Domain
import LocalState
import Notifications
import Operations
import Reporting

extension Session {
    /// What this host remembers of notifications.
    var notifications: NotificationFiles { NotificationFiles(state) }

    /// Delivers to channels.
    var channels: ChannelSender {
        ChannelSender(secrets: secrets, clock: clock, host: host, version: Versions.salvor)
    }

    /// Tells people; what goes wrong with a channel is a line on standard error.
    var notifier: Notifier {
        let redactor = redactor
        return Notifier(
            memory: notifications, sender: channels, clock: clock, host: host, redact: { redactor.redact($0) },
            note: { Output.note($0) })
    }

    /// The host's records of a plan's runs, newest last, and one that died without any later run's noticing it.
    func runs(_ plan: Plan) throws -> (records: [RunRecord], dead: RunRecord?) {
        let history = history(plan)
        let records = try history.runs(nil, newest: 60)
        // A run holds the plan's lock as long as it lives. Only looked at: taking it would turn away a run that begins now.
        guard var dead = try history.begun(), !PlanLock.seemsHeld(state, plan: plan.name) else { return (records, nil) }
        dead.outcome = .died
        return (records, dead)
    }

    /// The newest whole bundle that this host's records tell of; nil: none is known.
    func lastGood(_ plan: Plan) -> BundleID? {
        // For a message's wording only.
        (try? history(plan).runs(.backup, newest: 60)).flatMap(RunAssessment.lastGood)
    }
}
