// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// Tells hosts that may only put what they have to know of a repository, by a file that an operator carries.
enum Handing {
    struct Written: Codable {
        var file: String
        var handover: RepositoryHandover
    }

    /// Whether there is a repository already.
    static func isMade(_ plan: Plan, _ session: Session) async throws -> Bool {
        do {
            _ = try await session.repository(plan).descriptor()
            return true
        } catch let failure as Failure where failure.code == .repositoryNotFound {
            return false
        }
    }

    /// Writes the file.
    static func write(_ file: String, _ plan: Plan, _ session: Session, isQuiet: Bool = false) async throws {
        let handover = try await session.handoverRepository(plan).handover(at: session.clock.now())
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        let bytes = try encoder.encode(handover)
        try await PlanOutput.write(String(decoding: bytes, as: UTF8.self) + "\n", to: file)
        guard !isQuiet else { return }
        try session.print(Written(file: file, handover: handover), command: "init") {
            "wrote '\(file)': repository \(handover.descriptor.id), \(handover.newest.count) plans\n"
                + "next, on the host that may only put: salvor init --accept \(file)"
        }
    }

    /// Remembers what the file says.
    static func accept(_ file: String, _ plan: Plan, _ session: Session) async throws {
        let handover: RepositoryHandover
        do {
            handover = try JSONDecoder().decode(
                RepositoryHandover.self, from: try Data(contentsOf: URL(fileURLWithPath: file)))
        } catch is DecodingError {
            throw Failure(
                .localInput, "'\(file)' is not what 'salvor init --hand-over' writes",
                hint: "Write it anew where the repository may be read.")
        } catch {
            throw Failure(.localInput, "unable to read '\(file)': \(error.localizedDescription)")
        }
        try await session.handoverRepository(plan).accept(handover)
        let known = handover.descriptor.signers
        let signer = plan.encryption.signer?.uppercased()
        try session.print(Written(file: file, handover: handover), command: "init") {
            var lines = ["this host knows repository \(handover.descriptor.id) at \(plan.repository.store)"]
            lines.append(
                handover.newest[plan.name].map { "the chain goes on from \($0.id)" }
                    ?? "plan '\(plan.name)' has no bundle there: its chain begins with the next one")
            if let signer, !known.contains(signer) {
                lines.append(
                    "warning: no signer of the repository vouches for \(signer); "
                        + "where one may write: salvor signers add FILE")
            }
            return lines.joined(separator: "\n")
        }
    }
}
