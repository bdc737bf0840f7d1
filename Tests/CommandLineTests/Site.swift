// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport

/// A host with a plan, keys and a directory repository, for one test.
struct Site: Sendable {
    let folder: TemporaryDirectory
    /// The backup host: signs, cannot decrypt.
    let host: SalvorProcess
    /// The recovery: the same state and plan with the owner's keyring.
    let owner: SalvorProcess
    /// Both keyrings live as long as the site.
    private let keys: [ThrowawayKeys]

    /// - Parameters:
    ///   - sources: the plan's `sources`, as YAML list items without indentation; `$DIR` is the site's folder.
    ///   - repository: the plan's `repository`; nil: a directory of the site.
    ///   - environment: set for every command.
    ///   - given: a folder to be the site's own; nil: a new one.
    static func make(
        sources: String, repository: String? = nil, encryption: String = "", environment: [String: String] = [:],
        keeping given: TemporaryDirectory? = nil
    ) async throws -> Site {
        let folder = try given ?? TemporaryDirectory("site")
        let (hostKeys, ownerKeys) = (try ThrowawayKeys(), try ThrowawayKeys())
        let items = sources.split(separator: "\n", omittingEmptySubsequences: false).map { "  \($0)\n" }.joined()
        try folder.write(
            "plan.yaml",
            """
            plan: nightly
            repository: \(repository ?? "{store: \"file://\(folder("repo"))\"}")
            encryption:
              recipients: ["file:\(folder("recipient.asc"))"]
            \(encryption)
            sources:
            \(items.replacingOccurrences(of: "$DIR", with: folder.path))
            objectives: {recovery-point: 26h}
            """)
        let shared = environment.merging(
            ["SALVOR_CONFIG": folder("plan.yaml"), "SALVOR_STATE_DIR": folder("state"), "NO_COLOR": "1"]) { $1 }
        let site = Site(
            folder: folder, host: SalvorProcess(shared.merging(["GNUPGHOME": hostKeys.home]) { $1 }),
            owner: SalvorProcess(shared.merging(["GNUPGHOME": ownerKeys.home]) { $1 }), keys: [hostKeys, ownerKeys])
        try await site.ok(["init", "--generate-keys", "--recovery-directory", folder("recovery")])
        let made = try FileManager.default.contentsOfDirectory(atPath: folder("recovery"))
        for name in made where name.hasSuffix(".asc") {
            try await ownerKeys.gpg(["--import", folder("recovery/\(name)")])
        }
        // The owner also signs (safety bundles), with the host's signing key, as after moving to a new host.
        let secret = try await hostKeys.run(["--export-secret-keys"])
        try await ownerKeys.gpg(["--import"], input: secret.output)
        return site
    }

    /// Runs a command of the host that must succeed; gives its output.
    @discardableResult
    func ok(_ arguments: [String], as process: SalvorProcess? = nil) async throws -> String {
        let outcome = try await (process ?? host).run(arguments)
        guard outcome.status == 0 else {
            throw Failure(
                .programFailed,
                "salvor \(arguments.joined(separator: " ")): status \(outcome.status): \(outcome.errors)\(outcome.output)"
            )
        }
        return outcome.output
    }

    /// The ids of the committed bundles, oldest first.
    func bundles() async throws -> [String] {
        struct Listing: Decodable {
            struct Entry: Decodable { var id: String }
            var result: [Entry]
        }
        let text = try await ok(["list-backups", "--json"])
        return try JSONDecoder().decode(Listing.self, from: Data(text.utf8)).result.map(\.id)
    }

    /// The restores of this host that can still be undone.
    func openRestores() async throws -> [String] {
        struct Listing: Decodable {
            struct Entry: Decodable {
                struct Source: Decodable { var phase: String }
                var id: String
                var sources: [Source]
            }
            var result: [Entry]
        }
        let text = try await ok(["restore", "--list", "--json"])
        return try JSONDecoder().decode(Listing.self, from: Data(text.utf8)).result.filter {
            $0.sources.contains {
                ["staging", "staged", "verified", "promoting", "promoted", "rolling-back"].contains($0.phase)
            }
        }.map(\.id)
    }

    /// Every file below a folder of the site with its content, and every folder.
    func tree(_ name: String) throws -> [String: Data] {
        let root = folder(name)
        var tree: [String: Data] = [:]
        for case let path as String in FileManager.default.enumerator(atPath: root) ?? FileManager.DirectoryEnumerator()
        {
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: "\(root)/\(path)", isDirectory: &isFolder)
            tree[path] = isFolder.boolValue ? Data() : try Data(contentsOf: URL(fileURLWithPath: "\(root)/\(path)"))
        }
        return tree
    }
}
