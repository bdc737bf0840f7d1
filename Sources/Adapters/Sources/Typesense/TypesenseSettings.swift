// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

/// A Typesense source's settings, as read from the plan.
struct TypesenseSettings: Sendable {
    static let port = 8108
    var web: WebSettings
    var collections: ChosenNames
    /// Seconds without a byte that end a request.
    var timeout = 60
    /// The server program of drills; nil: found in PATH.
    var scratchProgram: String?

    init(_ node: ConfigNode, source: String) throws {
        let reader = try ConfigReader(
            node, path: source, allowed: ["connection", "collections", "exclude", "timeout", "restore"])
        web = try WebSettings(reader, port: Self.port, usesKey: true)
        collections = try ChosenNames(reader, "collections")
        timeout = try reader.integer("timeout", in: 1...86_400) ?? timeout
        scratchProgram = try reader.mapping("restore", allowed: ["scratch-program"])?.string("scratch-program")
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "properties": [
            "connection": WebSettings.schema(port: port, usesKey: true),
            "collections": ChosenNames.schema,
            "exclude": ChosenNames.excludeSchema,
            "timeout": ["type": "integer", "minimum": 1, "maximum": 86_400, "default": 60],
            "restore": [
                "type": "object", "additionalProperties": false,
                "properties": [
                    "scratch-program": ["type": "string", "description": "The server program of drills."]
                ],
            ],
        ],
    ]
}
