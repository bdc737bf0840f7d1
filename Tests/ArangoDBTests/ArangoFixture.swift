// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@testable import ArangoDB

/// What tests of ArangoDB share.
enum ArangoFixture {
    private struct GivenSecrets: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String {
            guard case .literal(let text) = reference.kind else { throw Failure(.secretUnavailable, "none") }
            return text
        }
    }

    /// - Parameter tool: where a client tool is.
    static func adapter(
        port: Int, tool: (String) -> String, password: String, replaces: Bool, work: String, _ notes: MemoryFreezeNotes
    ) throws -> ArangoAdapter {
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        func mapping(_ pairs: [(String, ConfigNode)]) -> ConfigNode {
            .mapping(pairs.map { (key: $0.0, mark: mark, value: $0.1) }, mark)
        }
        func scalar(_ text: String) -> ConfigNode { .scalar(text, isQuoted: false, mark) }
        let node = mapping([
            (
                "connection",
                mapping([("port", scalar("\(port)")), ("user", scalar("root")), ("password", scalar(password))])
            ),
            ("work-directory", scalar(work)),
            (
                "programs",
                mapping(["arangodump", "arangorestore"].map { ($0, scalar(tool($0))) })
            ),
            ("restore", mapping([("replace", scalar("\(replaces)"))])),
        ])
        let made = try ArangoFactory().make(
            AdapterEnvironment(
                source: SourceSettings(
                    name: "graph", adapter: "arangodb", transport: .local, settings: node, mark: mark),
                transport: LocalTransport(), secrets: GivenSecrets(), clock: SystemClock(), freezeNotes: notes))
        guard let adapter = made as? ArangoAdapter else { throw Failure(.internalError, "no adapter") }
        return adapter
    }

    static func restore(
        _ report: CaptureReport, _ capture: MemoryCapture, include: [String] = [], rename: String? = nil, work: String
    ) throws -> SourceRestore {
        SourceRestore(
            restoreID: "k3f9", bundle: try #require(BundleID("20261121T020003Z-nightly-k3f9qz")),
            contents: Contents.Source(
                name: "graph", engine: report.engine, facts: report.facts, restoreData: report.restoreData,
                notices: report.notices, position: nil),
            streams: capture.streams, include: include, rename: rename, scratchDirectory: work)
    }
}
