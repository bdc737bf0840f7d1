// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of a source's settings.")

    @Argument(help: "The adapter: files, postgresql, redis or sqlite; none: all, by name.")
    var adapter: String?

    func run() throws {
        let schemas = Dictionary(Adapters.all.map { ($0.kind, $0.settingsSchema) }) { first, _ in first }
        guard let adapter else { return try Output.document(JSONValue.object(schemas)) }
        guard let schema = schemas[adapter] else {
            throw Failure(
                .usage, "there is no adapter '\(adapter)'",
                hint: "There are \(schemas.keys.sorted().joined(separator: ", ")).")
        }
        try Output.document(schema)
    }
}
