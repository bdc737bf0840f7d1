// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Foundation
import Reporting

struct SignersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "signers", abstract: "Whose signatures count in a repository; let those of further hosts count.",
        discussion: """
            A repository counts the signing key it was made with, or the one that the plan names, and every key that such a \
            key vouches for, in as many steps as it takes. So a second host needs its key vouched for once, by the first; and \
            where a plan names its own host's key, that key has to vouch for the others whose bundles are to be checked there.

              salvor signers                          whose signatures count here, and why
              salvor signers add host-b.asc           on a host whose key counts
              salvor signers add FINGERPRINT          a key that the repository has already, compared by its fingerprint

            What was said stays for ever, beside the key. A key that is not to count any longer is revoked with gpg, and the \
            revoked key imported where bundles are checked.
            """, subcommands: [List.self, Add.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Whose signatures count, and why.",
            discussion: """
                Also shows keys that somebody vouches for without counting himself, and what is wrong with each.

                  salvor signers list --plan nightly
                """)

        @OptionGroup var global: GlobalOptions

        @Option(help: "The plan whose repository is meant.")
        var plan: String?

        func run() async throws {
            let session = try Session(global)
            let signers = try await session.signerRepository(try session.plan(plan)).signers()
            try session.print(signers, command: "signers list") {
                var table = TextTable([.init("SIGNER"), .init("COUNTS"), .init("SINCE"), .init("WHY")])
                for signer in signers {
                    table.add([
                        signer.fingerprint, signer.problem == nil ? "yes" : "NO", signer.since?.description ?? "-",
                        PrintableText.of(Self.why(signer)),
                    ])
                }
                return table.text()
            }
        }

        private static func why(_ signer: KnownSigner) -> String {
            if let problem = signer.problem { return problem }
            let comment = signer.comment.isEmpty ? "" : " (\(signer.comment))"
            return switch signer.trust {
            case .plan: "the plan names it"
            case .descriptor: "the repository was made with it"
            case .vouched: "\(signer.by ?? "") vouches for it\(comment)"
            case .none: ""
            }
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Vouch for another host's signing key.",
            discussion: """
                Takes this host's signing key, which has to count, and the right to write; stores the other one's public part.

                  salvor signers add host-b.asc --comment "host b"
                """)

        @OptionGroup var global: GlobalOptions

        @Argument(help: "A file with its public key, or the fingerprint of one that the repository has.")
        var key: String

        @Option(help: "Whose key it is, kept (unencrypted) beside it.")
        var comment = ""

        @Option(help: "The plan whose repository is meant.")
        var plan: String?

        func run() async throws {
            let session = try Session(global)
            let plan = try session.plan(plan)
            let repository = try await session.signerRepository(plan)
            let digits = key.uppercased().filter { $0 != " " }
            let isFingerprint = [40, 64].contains(digits.count) && digits.allSatisfy(\.isHexDigit)
            let bytes = isFingerprint ? try await repository.publicKey(digits) : try Self.read(key)
            let made = try await repository.addSigner(
                bytes,
                SignerRecord(
                    fingerprint: isFingerprint ? digits : "", at: session.clock.now(), comment: comment,
                    host: session.host, tool: Session.tool), plan: plan)
            try session.print(made, command: "signers add") {
                "\(made.signer) vouches for \(made.fingerprint)\n"
                    + "compare that fingerprint with the other host's: gpg --fingerprint"
            }
        }

        private static func read(_ file: String) throws -> [UInt8] {
            do {
                return Array(try Data(contentsOf: URL(fileURLWithPath: file)))
            } catch {
                throw Failure(
                    .localInput, "unable to read '\(file)': \(error.localizedDescription)",
                    hint: "Export it on its host: gpg --armor --export FINGERPRINT > host.asc")
            }
        }
    }
}
