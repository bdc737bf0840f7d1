// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import PlanFiles

/// A duration as an argument, such as `30m`.
struct WaitTime: ExpressibleByArgument, CustomStringConvertible {
    let seconds: Int

    init(seconds: Int) { self.seconds = seconds }

    init?(argument: String) {
        guard let seconds = PlanDuration.seconds(argument) else { return nil }
        self.seconds = seconds
    }

    var description: String { PlanDuration.text(seconds) }
}
