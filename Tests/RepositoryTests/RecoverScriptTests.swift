// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Repository
import TestSupport
import Testing

/// The script that lies in every repository, run on real bundles with nothing in PATH but what it says it needs.
@Suite("recover.sh")
struct RecoverScriptTests {
    static let tools = [
        "gpg", "zstd", "awk", "dd", "sha256sum", "cat", "mkdir", "mv", "rm", "wc", "tar", "tr", "xargs",
    ]

    /// A place to run in: an empty folder, and one with links to the tools.
    struct Place {
        let folder: TemporaryDirectory
        let repository: TestRepository
        let home: String

        init(_ repository: TestRepository, home: String? = nil, tools: [String] = RecoverScriptTests.tools) throws {
            folder = try TemporaryDirectory("recover")
            self.repository = repository
            self.home = home ?? repository.pair.keys.home
            for name in ["bin", "out"] {
                try FileManager.default.createDirectory(atPath: folder(name), withIntermediateDirectories: false)
            }
            for tool in tools {
                let path = try #require(
                    ["/usr/bin", "/bin"].map { "\($0)/\(tool)" }.first(where: FileManager.default.isExecutableFile))
                try FileManager.default.createSymbolicLink(atPath: folder("bin/\(tool)"), withDestinationPath: path)
            }
        }

        func run(_ id: BundleID, _ more: String...) async throws -> StockProgram.Outcome {
            let script = repository.directory("repo/recover.sh")
            return try await StockProgram.run(
                "/bin/sh", [script, repository.directory("repo/\(id.folder)")] + more, directory: folder("out"),
                environment: ["PATH": folder("bin"), "GNUPGHOME": home])
        }

        func bytes(_ name: String) throws -> [UInt8] {
            Array(try Data(contentsOf: URL(fileURLWithPath: folder("out/\(name)"))))
        }

        /// What lies in the folder it ran in, hidden files too.
        func left() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder("out")).sorted() }
    }

    /// A tar made by stock tar of a tree that `script`, run in an empty folder, makes; `files` in that order.
    func tar(_ script: String, _ files: String = ".") async throws -> [UInt8] {
        let folder = try TemporaryDirectory("tree")
        let made = try await StockProgram.run(
            "/bin/sh", ["-euc", script + "\ntar --format=pax -c --sort=name -f - -- " + files], directory: folder.path)
        try #require(made.status == 0, "\(made.errors)")
        return made.output
    }

    /// Paths, kinds and contents of a tree, one line each, in order.
    func listing(_ path: String) async throws -> String {
        let made = try await StockProgram.run(
            "/bin/sh",
            ["-c", #"find . ! -name . -printf '%y %m %p %l\n' | sort; find . -type f -exec sha256sum {} + | sort"#],
            directory: path)
        return made.text
    }

    @Test("the texts are in the repository")
    func texts() async throws {
        let repository = try await TestRepository.make()
        let guide = try String(contentsOfFile: repository.directory("repo/RECOVER.md"), encoding: .utf8)
        #expect(guide.contains("recover.sh"))
        let check = try await StockProgram.run("/bin/sh", ["-n", repository.directory("repo/recover.sh")])
        #expect(check.status == 0)
    }

    @Test("fulls and deltas come back, all of them or one")
    func dumps() async throws {
        let repository = try await TestRepository.make()
        let first = DumpText.rows(20_000)
        let second = DumpText.rows(20_000, changed: [7, 9000, 19_999])
        let full = try await repository.backUp(["app": first, "empty": []], at: 0)
        let delta = try await repository.backUp(["app": second, "empty": [1, 2, 3]], at: 86_400)
        #expect(delta.sources[0].streams[0].storage == .delta)
        #expect(delta.sources[0].streams[0].segments > 3)
        var place = try Place(repository)
        var run = try await place.run(full.id)
        #expect(run.status == 0, "\(run.errors)")
        #expect(try place.bytes("db/app") == first)
        #expect(try place.bytes("db/empty") == [])
        #expect(run.errors.contains("signed by \(repository.pair.signer)"))
        run = try await place.run(delta.id)
        #expect(run.status != 0 && run.errors.contains("in the way"))
        #expect(try place.bytes("db/app") == first)
        place = try Place(repository)
        run = try await place.run(delta.id, "db", "app")
        #expect(run.status == 0, "\(run.errors)")
        #expect(try place.bytes("db/app") == second)
        run = try await place.run(delta.id, "db", "empty")
        #expect(run.status == 0, "\(run.errors)")
        #expect(try place.bytes("db/empty") == [1, 2, 3])
        #expect(try place.left() == ["db"])
        run = try await place.run(delta.id, "nothing")
        #expect(run.status != 0 && run.errors.contains("no such stream"))
    }

    @Test("trees come back, incrementals with what was deleted gone, whatever the names")
    func trees() async throws {
        let repository = try await TestRepository.make()
        let odd = #"$(printf 'new\nline')"#
        let full = try await tar(
            """
            mkdir -p d/gone kind stays
            echo 1 > d/a; echo 2 > d/gone/b; echo 3 > "\(odd)"; echo 4 > " -rf *"; echo 5 > kind/x; echo same > stays/s
            ln -s d/a link; chmod 640 d/a
            """)
        let incremental = try await tar(
            """
            mkdir d
            printf '%s\\0' kind/x kind "\(odd)" ' -rf *' d/gone/b d/gone > .salvor-deleted
            echo now a file > kind; echo changed > d/a; echo new > d/new; chmod 600 d/a
            """, ".salvor-deleted d kind")
        let wanted = try TemporaryDirectory("tree")
        let made = try await StockProgram.run(
            "/bin/sh",
            [
                "-euc",
                "mkdir d stays; echo changed > d/a; chmod 600 d/a; echo new > d/new; echo now a file > kind; "
                    + "echo same > stays/s; ln -s d/a link",
            ], directory: wanted.path)
        #expect(made.status == 0)
        let expected = try await listing(wanted.path)
        let base = try await repository.backUp(tree: full, at: 0)
        let night = try await repository.backUp(tree: full, incremental: incremental, at: 86_400)
        #expect(night.sources[0].streams[0].storage == .incremental)
        var place = try Place(repository)
        var run = try await place.run(base.id)
        #expect(run.status == 0, "\(run.errors)")
        #expect(try place.bytes("config/new\nline") == Array("3\n".utf8))
        place = try Place(repository)
        run = try await place.run(night.id)
        #expect(run.status == 0, "\(run.errors)")
        #expect(try await listing(place.folder("out/config")) == expected)
    }

    @Test(
        "a list of deletions that leaves its tree deletes nothing",
        arguments: ["../victim", "/%victim%", "a/../../victim", "link/victim", "."])
    func hostileDeletions(path: String) async throws {
        let repository = try await TestRepository.make()
        let outside = try TemporaryDirectory("outside")
        let victim = try outside.write("victim", "precious")
        let full = try await tar("ln -s \(outside.path) link; echo 1 > a")
        let name = path.replacingOccurrences(of: "/%victim%", with: victim)
        let incremental = try await tar("printf '%s\\0' '\(name)' > .salvor-deleted", ".salvor-deleted")
        try await repository.backUp(tree: full, at: 0)
        let night = try await repository.backUp(tree: full, incremental: incremental, at: 86_400)
        let place = try Place(repository)
        let run = try await place.run(night.id)
        #expect(run.status != 0 && run.errors.contains("list of deletions"), "\(run.errors)")
        #expect(FileManager.default.fileExists(atPath: victim))
        #expect(try place.left() == [])
    }

    @Test("each object damaged, cut, swapped or missing is refused, and nothing is left behind")
    func damage() async throws {
        let repository = try await TestRepository.make()
        let first = try await repository.backUp(["app": DumpText.rows(3000)], at: 0)
        let second = try await repository.backUp(["app": DumpText.rows(3000, changed: [5])], at: 86_400)
        let place = try Place(repository)
        for id in [first.id, second.id] {
            let files = try repository.files(id).filter { !$0.hasSuffix("contents.gpg") }
            for file in files {
                let good = try Data(contentsOf: URL(fileURLWithPath: file))
                var flipped = good
                flipped[good.count / 2] ^= 1
                let other = try Data(contentsOf: URL(fileURLWithPath: try #require(files.first { $0 != file })))
                for bad in [flipped, good.prefix(good.count - 1), good.prefix(50), Data(), other] {
                    try bad.write(to: URL(fileURLWithPath: file))
                    let run = try await place.run(second.id)
                    #expect(run.status != 0 && run.errors.contains("ERROR"), "\(file)")
                    #expect(try place.left() == [])
                }
                try FileManager.default.removeItem(atPath: file)
                let run = try await place.run(second.id)
                #expect(run.status != 0, "\(file)")
                #expect(try place.left() == [])
                try good.write(to: URL(fileURLWithPath: file))
            }
        }
        let run = try await place.run(second.id)
        #expect(run.status == 0, "\(run.errors)")
    }

    @Test("a bundle under another's name is refused; a missing key, signer or tool is said")
    func surroundings() async throws {
        let repository = try await TestRepository.make()
        let first = try await repository.backUp(["app": DumpText.rows(3000)], at: 0)
        let second = try await repository.backUp(["app": DumpText.rows(3000, seed: 5)], at: 86_400, full: true)
        var place = try Place(repository, home: try ThrowawayKeys().home)
        var run = try await place.run(first.id)
        #expect(run.status != 0 && run.errors.contains("NOT checked") && run.errors.contains(repository.pair.signer))
        #expect(run.errors.contains("gpg did not decrypt"))
        place = try Place(repository, tools: Self.tools.filter { $0 != "zstd" })
        run = try await place.run(first.id)
        #expect(run.status != 0 && run.errors.contains("'zstd' is not in PATH"))
        place = try Place(repository)
        try FileManager.default.removeItem(atPath: repository.directory("repo/\(first.id.folder)"))
        try FileManager.default.copyItem(
            atPath: repository.directory("repo/\(second.id.folder)"),
            toPath: repository.directory("repo/\(first.id.folder)"))
        run = try await place.run(first.id)
        #expect(run.status != 0 && run.errors.contains("of another bundle"))
        #expect(try place.left() == [])
    }
}
