// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// From nothing to a plan.
@Suite("Starting from an example, and from what runs")
struct StartingTests {
    private func salvor(_ folder: TemporaryDirectory) -> SalvorProcess {
        SalvorProcess([
            "SALVOR_CONFIG": folder("salvor"), "SALVOR_STATE_DIR": folder("state"), "GNUPGHOME": folder("gnupg"),
            "NO_COLOR": "1",
        ])
    }

    @Test("init --from writes a plan that is read and printed, replaces nothing, and names the examples there are")
    func example() async throws {
        let folder = try TemporaryDirectory("start")
        let salvor = salvor(folder)
        let made = try await salvor.run(["init", "--from", "postgresql-generations"])
        #expect(made.status == 0 && made.output.contains("plans/postgresql-generations.yaml"), "\(made)")
        let file = folder("salvor/plans/postgresql-generations.yaml")
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let shown = try await salvor.run(["config", "show"])
        #expect(shown.status == 0 && shown.output.contains("monthly: 12"), "\(shown)")
        let again = try await salvor.run(["init", "--from", "postgresql-generations"])
        #expect(again.status == 6 && again.errors.contains("is there already"), "\(again)")
        let named = try await salvor.run(["init", "nights", "--from", "postgresql-generations", "--json"])
        #expect(named.status == 0 && named.output.contains("\"plan\" : \"nights\""), "\(named)")
        #expect(try await salvor.run(["config", "check"]).status == 0)
        let wrong = try await salvor.run(["init", "--from", "postgres-generation"])
        #expect(wrong.status == 2 && wrong.errors.contains("Did you mean 'postgresql-generations'?"), "\(wrong)")
        let help = try await salvor.run(["init", "--help"])
        for name in [
            "cassandra-janusgraph", "compose-search", "kubernetes-stack", "node-service", "postgresql-generations",
        ] { #expect(help.output.contains("\(name): "), "\(help.output)") }
    }

    @Test(
        "every example is a plan whose settings every adapter takes",
        arguments: [
            "cassandra-janusgraph", "compose-search", "kubernetes-stack", "node-service", "postgresql-generations",
        ])
    func everyExample(_ name: String) async throws {
        let folder = try TemporaryDirectory("start")
        let salvor = salvor(folder)
        let made = try await salvor.run(["init", "--from", name])
        #expect(made.status == 0, "\(made)")
        for command in [["config", "check"], ["config", "show"]] {
            let outcome = try await salvor.run(command)
            #expect(outcome.status == 0 && !outcome.errors.contains("warning"), "\(outcome)")
        }
    }

    @Test("discover proposes a plan that backs up what runs here, without a secret in it")
    func discover() async throws {
        let folder = try TemporaryDirectory("start")
        let salvor = salvor(folder)
        let redis = try ThrowawayRedis(password: "found-nowhere-19b")
        let made = try await StockProgram.run("sqlite3", [folder("app/search.db"), "CREATE TABLE t(a)"])
        #expect(made.status != 0, "the folder is not there yet")
        try folder.write("app/app.conf", "listen 80\n")
        _ = try await StockProgram.run("sqlite3", [folder("app/search.db"), "CREATE TABLE t(a)"])
        let file = folder("salvor/plans/nightly.yaml")
        let written = try await salvor.run(["discover", "--look-in", folder("app"), "--output", file])
        #expect(written.status == 0 && written.output.contains("wrote"), "\(written)")
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(text.contains("port: \(redis.port)") || text.contains("adapter: redis"), "\(text)")
        #expect(text.contains("path: \(folder("app/search.db"))"))
        #expect(!text.contains("found-nowhere"))
        let check = try await salvor.run(["config", "check"])
        #expect(check.status == 0, "\(check)\n\(text)")
        let json = try await salvor.run(["discover", "--json", "--look-in", folder("app")])
        #expect(
            json.status == 0 && json.output.contains("\"schema\" : \"salvor.discover\\/1\"")
                || json.output.contains("salvor.discover/1"))
        let second = try await salvor.run(["discover", "--output", file])
        #expect(second.status == 6)
        let relative = try await salvor.run(["discover", "--look-in", "app"])
        #expect(relative.status == 2)
    }
}
