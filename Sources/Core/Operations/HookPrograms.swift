// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

/// Runs the programs that hooks name: no shell, no input, output line by line to the log, an end to each.
struct HookPrograms: Sendable {
    let plan: String
    let transport: any Transport
    let progress: any ProgressListener

    /// Lines of one program that are told; the rest are counted.
    private static let mostLines = 200
    private static let longestLine = 1000

    func note(_ text: String) { progress.report(.note(text)) }

    /// Whether the program was started, and why it counts as failed; nil: it exited with 0.
    func run(
        _ hook: Hook, named name: String, _ ending: HookedRun.Ending?
    ) async -> (started: Bool, failure: Failure?) {
        let title = "hook \(name) (\(hook.run.first ?? ""))"
        let program = Program(
            hook.run.first ?? "", Array(hook.run.dropFirst()), environment: environment(name, ending))
        let hasStarted = Mutex(false)
        let limit = Failure(
            .programFailed, "\(title) was stopped by its time limit of \(TimeLimit.text(hook.timeLimit))")
        do {
            let exit = try await TimeLimit.run(
                until: ContinuousClock.now + .seconds(hook.timeLimit), or: limit
            ) {
                try await transport.run(program) { pipes in
                    hasStarted.withLock { $0 = true }
                    try pipes.closeInput()
                    try await Blocking.run { try tell(title, pipes) }
                }.1
            }
            tell(title, exit.standardError)
            guard exit.isSuccess else {
                let words = exit.lastWords.isEmpty ? "" : ": \(exit.lastWords)"
                return (true, Failure(.programFailed, "\(title) failed (\(exit.status))\(words)"))
            }
            return (true, nil)
        } catch {
            let failure = Failure.wrapping(error, as: .programFailed)
            let summary = failure.summary.hasPrefix(title) ? failure.summary : "\(title): \(failure.summary)"
            return (hasStarted.withLock { $0 }, Failure(failure.code, summary, hint: failure.hint))
        }
    }

    private func environment(_ name: String, _ ending: HookedRun.Ending?) -> [String: String] {
        [
            "SALVOR_PLAN": plan, "SALVOR_HOOK": String(name.prefix { $0 != "[" }),
            "SALVOR_BUNDLE": ending?.bundle?.text ?? "", "SALVOR_OUTCOME": ending?.outcome.rawValue ?? "",
            "SALVOR_ERROR": ending?.failure?.summary ?? "",
        ]
    }

    /// Tells a program's output as it comes.
    private func tell(_ title: String, _ pipes: any ProgramPipes) throws {
        var lines = Lines(title: title, progress: progress)
        try pipes.forEachChunk { lines.add($0) }
        lines.finish()
    }

    private func tell(_ title: String, _ text: String) {
        var lines = Lines(title: title, progress: progress)
        Array(text.utf8).withUnsafeBytes { lines.add($0) }
        lines.finish()
    }

    /// Output taken apart into lines, within bounds.
    private struct Lines {
        let title: String
        let progress: any ProgressListener
        private var line: [UInt8] = []
        private var count = 0

        init(title: String, progress: any ProgressListener) {
            self.title = title
            self.progress = progress
        }

        mutating func add(_ chunk: UnsafeRawBufferPointer) {
            for byte in chunk {
                guard byte == UInt8(ascii: "\n") else {
                    if line.count < HookPrograms.longestLine { line.append(byte) }
                    continue
                }
                end()
            }
        }

        mutating func finish() {
            if !line.isEmpty { end() }
            if count > HookPrograms.mostLines {
                progress.report(.note("\(title): \(count - HookPrograms.mostLines) more lines"))
            }
        }

        private mutating func end() {
            count += 1
            if count <= HookPrograms.mostLines {
                progress.report(.note("\(title): \(String(decoding: line, as: UTF8.self))"))
            }
            line = []
        }
    }
}
