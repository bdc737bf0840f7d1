// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Pauses an application while its sources are frozen, with an end to it in any case.
public struct Quiescing: Sendable {
    let transport: any Transport
    let supervisor: any QuiesceSupervisor

    /// - Parameter transport: where the programs run: this host.
    public init(transport: any Transport, supervisor: any QuiesceSupervisor) {
        self.transport = transport
        self.supervisor = supervisor
    }

    /// Runs the plan's `pause`, with a watchdog beside it that resumes when this process is gone.
    ///
    /// - Throws: `Failure(.preflightRefused)` when the program fails, after `resume` was run.
    func pause(_ quiesce: Quiesce, _ plan: Plan, _ progress: any ProgressListener) async throws -> any PausedApplication
    {
        let paused = try await supervisor.begin(
            quiesce, environment: ["SALVOR_PLAN": plan.name, "SALVOR_HOOK": "resume"])
        let programs = HookPrograms(plan: plan.name, transport: transport, progress: progress)
        let hook = Hook(run: quiesce.pause, onFailure: .stop, timeLimit: quiesce.timeLimit)
        let failure = await programs.run(hook, named: "pause", nil).failure
        guard failure == nil, !Task.isCancelled else {
            // Half a pause may have happened.
            let unresumed = await Self.resume(paused)
            if let unresumed { progress.report(.note(unresumed.summary)) }
            try Task.checkCancellation()
            throw Failure(
                .preflightRefused, failure?.summary ?? "the application could not be paused",
                hint: "Nothing was captured\(unresumed == nil ? "" : ", and the application may still be paused").")
        }
        return paused
    }

    /// Resumes, whatever becomes of this task; the failure if that did not work.
    static func resume(_ paused: any PausedApplication) async -> Failure? {
        await Task {
            do {
                try await paused.resume()
                return nil
            } catch {
                return Failure.wrapping(error, as: .programFailed)
            }
        }.value
    }

    /// Resumes what a run that died has left paused, telling of it.
    func resumeLeftOver(_ progress: any ProgressListener) async {
        do {
            guard let what = try await supervisor.resumeLeftOver() else { return }
            progress.report(.note("resumed what a run that ended early had left paused: \(what)"))
        } catch {
            progress.report(.note(Failure.wrapping(error).summary))
        }
    }
}
