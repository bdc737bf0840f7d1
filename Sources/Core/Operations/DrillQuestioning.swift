// SPDX-License-Identifier: Apache-2.0
import Domain

/// Asks a restored source what its plan wants to hold.
struct DrillQuestioning: Sendable {
    let plan: String
    let bundle: BundleID
    let transport: any Transport
    let progress: any ProgressListener

    /// Bytes of a program's output that are read at most; nobody looks at them.
    private static let outputLimit = 16 << 20

    /// - Returns: how many assertions there are, all of which hold.
    /// - Throws: `Failure(.verifyFailed)` for the first that does not, saying which.
    func ask(
        _ assertions: [DrillAssertion], of adapter: any DrillingAdapter, in restore: SourceRestore
    ) async throws -> Int {
        for (index, assertion) in assertions.enumerated() {
            let name = "assertion \(index + 1) (\(assertion.text))"
            let late = Failure(
                .verifyFailed, "\(name) does not answer within \(TimeLimit.text(assertion.timeLimit))",
                hint: "Ask for less, or raise its 'time-limit'.")
            do {
                try await TimeLimit.run(until: ContinuousClock.now + .seconds(assertion.timeLimit), or: late) {
                    switch assertion.question {
                    case .sql(let sql, let database):
                        let value = try await adapter.answer(sql, database: database, in: restore)
                        guard Self.isTrue(value) else {
                            throw Failure(.verifyFailed, "it gives \(value.map { "'\($0)'" } ?? "NULL")")
                        }
                    case .command(let words): try await run(words, adapter.places(of: restore), restore)
                    }
                }
            } catch let failure as Failure {
                if failure.summary == late.summary { throw failure }
                throw Failure(
                    failure.code == .restoreBlocked || failure.code == .programMissing ? failure.code : .verifyFailed,
                    "\(name) does not hold: \(failure.summary)", hint: failure.hint)
            }
            progress.report(.note("\(restore.contents.name): \(name) holds"))
        }
        return assertions.count
    }

    private func run(_ words: [String], _ places: [String: String], _ restore: SourceRestore) async throws {
        var environment = places
        environment["SALVOR_PLAN"] = plan
        environment["SALVOR_SOURCE"] = restore.contents.name
        environment["SALVOR_BUNDLE"] = bundle.text
        let program = Program(words.first ?? "", Array(words.dropFirst()), environment: environment)
        let (_, exit) = try await transport.outputAndExit(of: program, limit: Self.outputLimit)
        guard exit.isSuccess else {
            let said = exit.lastWords.isEmpty ? "" : ": \(exit.lastWords)"
            throw Failure(.verifyFailed, "\(exit.status)\(said)")
        }
    }

    /// A boolean as engines write it, or a number that is not zero.
    static func isTrue(_ value: String?) -> Bool {
        guard let value else { return false }
        return ["true", "t"].contains(value.lowercased()) || Double(value).map { $0 != 0 && !$0.isNaN } == true
    }
}
