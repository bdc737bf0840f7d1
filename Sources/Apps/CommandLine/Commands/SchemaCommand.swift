// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of a source's settings.",
        discussion: """
            For editors that check YAML, and to look up what an adapter takes. For example:

              salvor schema postgresql > postgresql.json
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The adapter, such as postgresql; none: all, by name.")
    var adapter: String?

    func run() throws {
        let schemas = Dictionary(Adapters.all.map { ($0.kind, $0.settingsSchema) }) { first, _ in first }
        guard let adapter else { return try show(JSONValue.object(schemas)) }
        guard let schema = schemas[adapter] else {
            throw Failure(
                .usage, "there is no adapter '\(adapter)'",
                hint: "There are \(schemas.keys.sorted().joined(separator: ", ")).")
        }
        try show(schema)
    }

    /// A schema is a document by itself; with `--json` it comes in the envelope of every command.
    private func show(_ value: JSONValue) throws {
        guard global.json else { return try Output.document(value) }
        try Output.result(value, command: "schema", isJSON: true) { "" }
    }
}
