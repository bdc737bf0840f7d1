// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import ExportFiles
import Operations
import Reporting

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take the file of an export back: a new bundle, every stream in full.",
        discussion: """
            Nothing is committed unless the file is whole, every digest in it is right, and it is signed by a key that is \
            trusted: the plan's signer, one of the repository, or those named with --signer. The new bundle is called by the \
            time of its data, so 'latest' stays the newest data; later backups never build on it. Needs a decryption key, and \
            the plan's signing key.

              salvor import shop.tar.zst.gpg --plan nightly
              salvor import shop.tar.zst.gpg --signer FINGERPRINT
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: ArgumentHelp("The file; - is standard input.", valueName: "file"))
    var file: String

    @Option(help: "The plan whose repository to import into.")
    var plan: String?

    @Option(
        name: .customLong("signer"),
        help: ArgumentHelp(
            "Trust exports signed by this key, instead of the plan's and the repository's; may be given several times.",
            valueName: "fingerprint"))
    var signers: [String] = []

    @Option(help: "A remark kept (unencrypted) in the manifest; default: where it is from.")
    var comment = ""

    @Option(
        name: .customLong("tag"),
        help: "A tag kept (unencrypted) in the manifest, beside 'imported'; may be given several times.")
    var tags: [String] = []

    @Option(
        help: ArgumentHelp(
            "At most this many bytes per second to the store; K, M and G are 1024-fold.", valueName: "rate"))
    var limitUpload: ByteCount?

    func validate() throws {
        for tag in tags where !SafeName.isValid(tag) {
            throw ValidationError("'\(tag)' is no tag: use letters, digits, '.', '_' and '-'.")
        }
        for signer in signers {
            let digits = signer.filter { $0 != " " }
            guard digits.count == 40 || digits.count == 64, digits.allSatisfy(\.isHexDigit) else {
                throw ValidationError("'\(signer)' is no whole fingerprint (40 hexadecimal digits).")
            }
        }
    }

    func run() async throws {
        let session = try Session(global)
        let plan = try session.plan(plan)
        let lock = try session.lock(plan)
        let repository = try await session.repository(plan, uploadLimit: limitUpload?.bytes)
        let manifest = try await Import(repository: repository, progress: session.progress).run(
            Import.Request(
                plan: plan, signers: signers, tags: tags, comment: comment, host: session.host,
                tool: Session.tool, at: session.clock.now()), from: ExportFileReader(file))
        withExtendedLifetime(lock) {}
        try session.print(manifest, command: "import") {
            var table = TextTable([
                .init("SOURCE"), .init("STREAM"), .init("STORED AS"), .init("RAW", .right), .init("STORED", .right),
            ])
            for source in manifest.sources {
                for stream in source.streams {
                    table.add([
                        source.name, stream.name, stream.storage.rawValue, ByteFormat.text(stream.rawBytes),
                        ByteFormat.text(stream.storedBytes),
                    ])
                }
                if source.state == .failed { table.add([source.name, "", "FAILED: \(source.failure ?? "")", "", ""]) }
            }
            return table.text() + "\n\nimported \(manifest.origin?.id.text ?? "") as bundle \(manifest.id)"
        }
    }
}
