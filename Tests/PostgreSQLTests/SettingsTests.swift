// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import PostgreSQL

@Suite("PostgreSQL settings")
struct SettingsTests {
    private func settings(_ pairs: KeyValuePairs<String, ConfigNode>) throws -> PostgreSQLSettings {
        try PostgreSQLSettings(Fixture.mapping(pairs), path: "sources[0]")
    }

    @Test("defaults are those of the documentation")
    func defaults() throws {
        let settings = try settings([:])
        #expect(settings.databases == .all)
        #expect(settings.jobs == 2)
        #expect(settings.lockTimeout == "30s")
        #expect(settings.capturesGlobals && settings.capturesRolePasswords)
        #expect(settings.counting == .exact)
        #expect(settings.maintenanceDatabase == "postgres")
        #expect(settings.includes("anything"))
    }

    @Test("lists, exclusions and durations are read")
    func values() throws {
        let settings = try settings([
            "databases": Fixture.list(["app", "logs"]), "exclude": Fixture.text("lo*"),
            "lock-timeout": Fixture.text("5"),
            "facts": Fixture.text("estimate"), "jobs": Fixture.text("8"),
        ])
        #expect(settings.databases == .named(["app", "logs"]))
        #expect(settings.includes("app") && !settings.includes("logs") && !settings.includes("other"))
        #expect(settings.lockTimeout == "5s")
        #expect(settings.counting == .estimate)
        #expect(settings.jobs == 8)
    }

    @Test(
        "what cannot be meant is refused with its place",
        arguments: [
            ("database", Fixture.text("app"), "unknown key"), ("jobs", Fixture.text("0"), "1 to 64"),
            ("lock-timeout", Fixture.text("soon"), "duration"), ("lock-timeout", Fixture.text("1s; DROP"), "duration"),
            ("facts", Fixture.text("all"), "must be one of"), ("globals", Fixture.text("maybe"), "true or false"),
            ("connection", Fixture.mapping(["hots": Fixture.text("x")]), "unknown key"),
            ("connection", Fixture.mapping(["sslmode": Fixture.text("on")]), "must be one of"),
            ("connection", Fixture.mapping(["sslrootcert": Fixture.text("/ca.crt")]), "verify-full"),
            ("connection", Fixture.mapping(["sslcert": Fixture.text("/a.crt")]), "belong together"),
            ("databases", Fixture.list([]), "must be 'all'"),
        ])
    func refusals(key: String, value: ConfigNode, words: String) throws {
        #expect {
            _ = try PostgreSQLSettings(.mapping([(key, Fixture.mark, value)], Fixture.mark), path: "sources[0]")
        } throws: { error in
            guard let failure = error as? Failure else { return false }
            return failure.code == .configuration && failure.summary.contains(words)
                && failure.summary.contains("plan.yaml:3")
        }
    }

    @Test("the schema allows the keys that are read, and no others")
    func schema() throws {
        let schema = PostgreSQLFactory().settingsSchema
        guard case .object(let properties)? = schema["properties"] else {
            Issue.record("no properties")
            return
        }
        for key in properties.keys {
            // A wrong value at most, never an unknown key.
            do { _ = try PostgreSQLSettings(Fixture.mapping([:]).adding(key), path: "") } catch let error as Failure {
                #expect(!error.summary.contains("unknown key"), "\(key)")
            }
        }
        #expect(schema["additionalProperties"]?.bool == false)
    }

    @Test("patterns match whole names")
    func patterns() {
        #expect(NamePattern("app").matches("app"))
        #expect(!NamePattern("app").matches("app2"))
        #expect(NamePattern("a*p?").matches("app2"))
        #expect(NamePattern("*").matches(""))
        #expect(!NamePattern("*x").matches("xy"))
        #expect(NamePattern("*a*b").matches("aab-ab"))
        #expect(NamePattern("a[b]*?").matches("a[b]*?"))
    }

    @Test("names beside a database fit 63 bytes and stay apart")
    func names() {
        #expect(DatabaseNames.staged("app", "k3f9qz") == "app__salvor_k3f9qz")
        let long = String(repeating: "ä", count: 31)
        for other in [long, long + "x"] {
            let name = DatabaseNames.staged(other, "k3f9qz")
            #expect(name.utf8.count <= 63)
            #expect(name.hasSuffix("__salvor_k3f9qz"))
            #expect(DatabaseSelection.isStagedCopy(name))
        }
        #expect(DatabaseNames.staged(long, "k3f9qz") != DatabaseNames.staged(long + "x", "k3f9qz"))
        #expect(!DatabaseSelection.isStagedCopy("app__salvor_"))
        #expect(SafeName.isValid(DatabaseRecord.streamName(String(repeating: "✓", count: 21))))
        #expect(DatabaseRecord.streamName("app") == "db.app")
    }
}

extension ConfigNode {
    fileprivate func adding(_ key: String) -> ConfigNode {
        guard case .mapping(let pairs, let mark) = self else { return self }
        return .mapping(pairs + [(key, mark, .scalar("2", isQuoted: false, mark))], mark)
    }
}
