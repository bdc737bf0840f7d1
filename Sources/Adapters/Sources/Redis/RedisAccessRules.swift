// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization

/// One line of `ACL LIST`: `user NAME RULE…`. Passwords are in it as SHA-256.
struct AccessRule: Sendable, Equatable {
    var user: String
    var rules: [String]

    /// nil when the line is not a user's.
    init?(_ line: Substring) {
        let words = line.split(separator: " ").map(String.init)
        guard words.count >= 2, words[0] == "user" else { return nil }
        user = words[1]
        rules = Array(words.dropFirst(2))
    }

    /// The command that makes the user exactly this.
    var command: [String] { ["ACL", "SETUSER", user, "reset"] + rules }

    static func list(_ connection: RespConnection) async throws -> [AccessRule] {
        (try await connection.command("ACL", "LIST").elements ?? []).compactMap(\.text).compactMap {
            AccessRule($0[...])
        }
    }
}

extension RedisAdapter {
    /// Where the live server's rules are kept for a roll back.
    private func oldRules(_ place: RestorePlace) -> String { place.keepDirectory + "/users.acl" }

    /// The bundle's rules that this restore may apply; the user that Salvor connects as stays what it is, or a restore
    /// could lock itself out.
    private func bundledRules(_ restore: SourceRestore) async throws -> [AccessRule] {
        guard settings.accessRules != .none,
            let stream = restore.streams.first(where: { $0.name == RedisNames.accessRules })
        else { return [] }
        let collected = Mutex<[UInt8]>([])
        try await stream.read(nil) { chunk in collected.withLock { $0 += chunk } }
        let text = collected.withLock { String(decoding: $0, as: UTF8.self) }
        let own = settings.user ?? "default"
        return text.split(whereSeparator: \.isNewline).compactMap { AccessRule($0) }
            .filter { $0.user != "default" && $0.user != own }
    }

    /// Tries the rules on the scratch server, so that one this version does not know fails before anything is changed.
    func tryRules(_ restore: SourceRestore, on scratch: ScratchServer) async throws {
        let rules = try await bundledRules(restore)
        guard !rules.isEmpty else { return }
        let connection = try await scratch.endpoint.connect()
        for rule in rules {
            do {
                _ = try await connection.command(rule.command)
                _ = try await connection.command("ACL", "DELUSER", rule.user)
            } catch is RespRefusal {
                // Its words may repeat the rule, with the password's hash.
                throw Failure(
                    .restoreFailed, "the access rules of user '\(rule.user)' do not fit this server's version",
                    hint: "Set 'restore.acl: none' and make the user by hand.")
            }
        }
    }

    /// Applies the bundle's rules to the live server, after noting what was there.
    func applyRules(_ restore: SourceRestore, _ page: inout RedisPage) async throws {
        var rules = try await bundledRules(restore)
        guard !rules.isEmpty else { return }
        let connection = try await live.connect()
        let present = try await live.saying { try await AccessRule.list(connection) }
        let mine = Set(page.record.users)
        if settings.accessRules == .missing {
            let names = Set(present.map(\.user)).subtracting(mine)
            rules.removeAll { names.contains($0.user) }
        }
        let file = oldRules(restore.place)
        if mine.isEmpty {
            let lines = present.map { (["user", $0.user] + $0.rules).joined(separator: " ") }
            try await Blocking.run { try DurableFile.write(lines.joined(separator: "\n") + "\n", to: file) }
        }
        let names = rules.map(\.user)
        try await page.write { $0.users = names }
        for rule in rules { try await set(rule.command, connection) }
        try await saveRules(connection, page)
    }

    /// Puts the live server's users back to what `applyRules` found.
    func revertRules(_ place: RestorePlace, _ page: inout RedisPage) async throws {
        guard !page.record.users.isEmpty else { return }
        let file = oldRules(place)
        let text = try await Blocking.run { FileManager.default.contents(atPath: file) }
        guard let text else { throw Failure(.stateDamaged, "the kept access rules '\(file)' are gone") }
        let old = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
            .compactMap { AccessRule($0) }
        let connection = try await live.connect()
        for user in page.record.users {
            let before = old.first { $0.user == user }
            try await set(before?.command ?? ["ACL", "DELUSER", user], connection)
        }
        try await saveRules(connection, page)
        try await page.write { $0.users = [] }
    }

    private func set(_ command: [String], _ connection: RespConnection) async throws {
        do { _ = try await connection.command(command) } catch let refusal as RespRefusal {
            throw refusal.isDenied
                ? live.failure(refusal)
                : Failure(.restoreFailed, "the access rules of user '\(command[2])' were refused by \(live.name)")
        }
    }

    private func saveRules(_ connection: RespConnection, _ page: RedisPage) async throws {
        let file = try await live.saying { try await connection.parameter("aclfile") }
        if let file, !file.isEmpty {
            _ = try await live.saying { try await connection.command("ACL", "SAVE") }
        } else {
            await page.note("the server has no 'aclfile': write the users into its configuration to keep them")
        }
    }
}
