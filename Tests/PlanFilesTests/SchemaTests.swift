// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import PlanFiles

/// The published schemas against the reader's own tables and the examples.
@Suite("JSON Schemas")
struct SchemaTests {
    private func schema(_ name: String) throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: ExampleFiles.path("manifests/schema/\(name)")))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private func keys(_ schema: [String: Any], _ path: [String] = []) throws -> Set<String> {
        var node = schema
        for part in path { node = try #require(node[part] as? [String: Any], "\(part)") }
        return Set(try #require(node["properties"] as? [String: Any]).keys)
    }

    @Test("the plan schema has exactly the keys the reader allows")
    func planKeys() throws {
        let plan = try schema("plan.schema.json")
        var tables: [(part: String, keys: [String])] =
            [
                ("repository", PlanKeys.repository), ("s3", PlanKeys.s3), ("credentials", PlanKeys.credentials),
                ("objectLock", PlanKeys.objectLock), ("encryption", PlanKeys.encryption), ("source", PlanKeys.source),
                ("drill", PlanKeys.drill), ("assertion", PlanKeys.assertion),
                ("retention", PlanKeys.retention), ("schedule", PlanKeys.schedule),
                ("scheduledValidation", PlanKeys.scheduledValidation), ("scheduledTimes", PlanKeys.scheduledTimes),
                ("hooks", PlanKeys.hooks), ("hook", PlanKeys.hook), ("quiesce", PlanKeys.quiesce),
                ("objectives", PlanKeys.objectives),
                ("notify", PlanKeys.notifyChannels + PlanKeys.notify),
            ]
        for (name, keys) in PlanKeys.channels { tables.append((name, keys + PlanKeys.channelReach)) }
        for (name, keys) in PlanKeys.transports { tables.append((name, keys)) }
        #expect(try keys(plan) == Set(PlanKeys.plan))
        for table in tables { #expect(try keys(plan, ["$defs", table.part]) == Set(table.keys), "\(table.part)") }
    }

    @Test("the host schema has exactly the keys the reader allows")
    func hostKeys() throws {
        let host = try schema("host.schema.json")
        #expect(try keys(host) == Set(PlanKeys.host))
        #expect(try keys(host, ["properties", "defaults"]) == Set(PlanKeys.defaults))
    }

    @Test("the schema lists the adapters this salvor has")
    func adapters() throws {
        let plan = try schema("plan.schema.json")
        let definitions = try #require(plan["$defs"] as? [String: [String: Any]])
        let properties = try #require(definitions["source"]?["properties"] as? [String: [String: Any]])
        #expect(properties["adapter"]?["enum"] as? [String] == PlanDirectory.knownAdapters)
    }

    @Test("every example plan is read")
    func examples() throws {
        let folder = ExampleFiles.path("manifests/plans")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }
        #expect(!files.isEmpty)
        for file in files {
            let loaded = try PlanDirectory.load("\(folder)/\(file)")
            #expect(loaded.warnings.isEmpty)
        }
        #expect(Set(PlanTemplates.names.map { "\($0).yaml" } + ["nightly.yaml"]) == Set(files))
        for name in PlanTemplates.names {
            #expect(PlanTemplates.summary(name)?.hasSuffix(".") == true)
            let renamed = try #require(PlanTemplates.text(name, plan: "mine"))
            #expect(renamed.contains("\nplan: mine\n") && !renamed.contains("language-server"))
        }
    }
}
