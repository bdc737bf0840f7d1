// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import ExportFiles
import Foundation
import Operations
import Reporting

struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write one bundle, whole, into one encrypted and signed file for hand-over.",
        discussion: """
            The file is a tar in a zstd stream in an OpenPGP message, conventionally NAME.tar.zst.gpg. Deltas and incrementals \
            are resolved; a README in it says how to open and restore it with stock tools. 'salvor import' takes it back. Needs \
            a decryption key, and a key to sign with.

              salvor export latest --to shop.tar.zst.gpg
              salvor export ID --source app-db --recipient FINGERPRINT --to shop.tar.zst.gpg
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "Id, unique beginning of one, latest, or latest:PLAN.")
    var bundle: String

    @Option(name: .customLong("to"), help: ArgumentHelp("The file to make; - is standard output.", valueName: "file"))
    var file: String

    @Option(name: .customLong("source"), help: "Export only this source; may be given several times.")
    var sources: [String] = []

    @Option(
        name: .customLong("recipient"),
        help: ArgumentHelp(
            "Encrypt to this key instead of the plan's recipients; may be given several times.",
            valueName: "fingerprint|file:path"))
    var recipients: [String] = []

    @Option(
        help: ArgumentHelp(
            "The key to sign with; default: the plan's signer, else one the repository trusts, else the only one here.",
            valueName: "fingerprint"))
    var signer: String?

    @Option(help: "The plan whose repository to look in.")
    var plan: String?

    @Flag(help: "Replace the file if it is there.")
    var force = false

    func validate() throws {
        if file == "-", global.json { throw ValidationError("--json and '--to -' both want standard output.") }
        if file.isEmpty { throw ValidationError("--to needs the name of a file.") }
    }

    func run() async throws {
        let session = try Session(global)
        let plan = try session.plan(plan, for: bundle)
        let destination = file == "-" ? ExportDestination.standardOutput : .file(file, replaces: force)
        try destination.check()
        let repository = try await session.repository(plan)
        let descriptor = try await repository.descriptor()
        let id = try await BundleSelection(repository: repository).find(bundle, plan: plan.name)
        let known = [plan.encryption.signer].compactMap { $0 } + descriptor.signers
        let keys = try await ExportKeys(
            recipients: recipients.isEmpty ? plan.encryption.recipients : recipients, signer: signer, known: known)
        let writer = ExportFileWriter(
            to: destination, keys: keys, threads: ProcessInfo.processInfo.activeProcessorCount)
        let exported = try await Export(repository: repository, progress: session.progress).run(
            Export.Request(
                bundle: id, sources: sources, host: session.host, tool: Session.tool,
                at: session.clock.now()), to: writer)
        guard file != "-" else {
            (session.progress as? TerminalProgress)?.finish()
            if !global.quiet { Output.note(summary(exported)) }
            return
        }
        try session.print(exported, command: "export") {
            var table = TextTable([.init("SOURCE"), .init("STREAM"), .init("FILE"), .init("BYTES", .right)])
            for stream in exported.streams {
                table.add([stream.source, stream.name, stream.file, ByteFormat.text(stream.length)])
            }
            return table.text() + "\n" + summary(exported)
        }
    }

    private func summary(_ exported: Export.Exported) -> String {
        """
        exported bundle \(exported.bundle): \(ByteFormat.text(exported.rawBytes)) raw, \
        \(ByteFormat.text(exported.bytes)) in \(file == "-" ? "standard output" : file)
        opened by \(exported.recipients.joined(separator: ", "))
        signed by \(exported.signer)
        """
    }
}
