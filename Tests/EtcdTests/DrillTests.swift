// SPDX-License-Identifier: Apache-2.0
import Domain
import Etcd
import Foundation
import Glibc
import TestSupport
import Testing
import Transports

@Suite("etcd: drills", .serialized)
struct DrillTests {
    private func adapter(
        _ etcd: ThrowawayEtcd, _ temporary: TemporaryDirectory, programs: String? = nil
    ) throws -> any SourceAdapter {
        let text = AdapterSettings.text
        let connection = AdapterSettings.mapping([
            "endpoint": text(etcd.endpoint), "user": text("root"), "password": text("s3cret words"),
        ])
        // What would happen to the live member, none of which may.
        let restore = AdapterSettings.mapping([
            "data-directory": text(etcd.data), "bump-revision": text("1000"),
            "stop": AdapterSettings.list(["touch", temporary("stopped")]),
            "start": AdapterSettings.list(["touch", temporary("started")]),
        ])
        let mark = AdapterSettings.mark
        var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = [
            ("connection", mark, connection), ("temporary-directory", mark, text(temporary.path)),
            ("restore", mark, restore),
        ]
        if let programs { pairs.append(("programs", mark, text(programs))) }
        return try EtcdFactory().make(
            AdapterSettings.environment("etcd", .mapping(pairs, mark), transport: LocalTransport()))
    }

    @Test("keys and accounts come back in a member on a Unix socket, while the live one is gone, and are asked there")
    func whole() async throws {
        let etcd = try await ThrowawayEtcd()
        let temporary = try TemporaryDirectory("snapshots")
        for number in 1...30 { try await etcd.ctl(["put", "key\(number)", "value \(number)"]) }
        try await etcd.ctl(["del", "key7"])
        for words in [
            ["user", "add", "root:s3cret words"], ["user", "grant-role", "root", "root"], ["role", "add", "reader"],
            ["auth", "enable"],
        ] { try await etcd.ctl(words) }
        let adapter = try adapter(etcd, temporary)
        let captured = try await CapturedSource(adapter)
        #expect(captured.report.facts["keys"] == .count(29))
        try await etcd.stop()

        let restore = captured.restore()
        let (facts, _) = try await DrilledRestore.of(restore, adapter) { copy in
            let places = copy.places(of: restore)
            let endpoint = try #require(places["ETCDCTL_ENDPOINTS"])
            #expect(endpoint.hasPrefix("unix:///tmp/salvor-dr-"), "\(endpoint)")
            func ctl(_ arguments: [String], as user: String? = "root:s3cret words") async throws -> String {
                var environment = places
                if let user { environment["ETCDCTL_USER"] = user }
                let output = try await LocalTransport().output(
                    of: Program("etcdctl", arguments, environment: environment))
                return String(decoding: output, as: UTF8.self)
            }
            #expect(try await ctl(["get", "key3", "--print-value-only"]) == "value 3\n")
            #expect(try await ctl(["get", "key7", "--print-value-only"]) == "")
            let roles = try await ctl(["role", "list"])
            #expect(roles.split(separator: "\n").contains("reader"), "\(roles)")
            let nobody = await thrownFailure { _ = try await ctl(["get", "key3"], as: nil) }
            #expect(nobody?.summary.contains("user name is empty") == true, "the accounts are those of the cluster")
            let members = try await ctl(["member", "list"])
            #expect(members.contains("salvor-drill") && members.split(separator: "\n").count == 1, "\(members)")
            let folder = String(endpoint.dropFirst("unix://".count).prefix { $0 != ":" }) as NSString
            let mode = try FileManager.default.attributesOfItem(atPath: folder.deletingLastPathComponent)[
                .posixPermissions]
            #expect(mode as? Int == 0o700, "others get at the copy")
        }
        #expect(
            Set(facts.map(\.name)) == ["keys", "revision", "snapshot entries", "hash of keys and values"]
                && facts.allSatisfy(\.isEqual), "\(facts)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: temporary.path) == [], "something live was touched")
    }

    @Test("without a server program on this host a drill is refused and says so; a member that dies fails it")
    func refused() async throws {
        let etcd = try await ThrowawayEtcd()
        let temporary = try TemporaryDirectory("snapshots")
        for words in [
            ["put", "a", "1"], ["user", "add", "root:s3cret words"], ["user", "grant-role", "root", "root"],
            ["auth", "enable"],
        ] { try await etcd.ctl(words) }
        let captured = try await CapturedSource(try adapter(etcd, temporary))
        let restore = captured.restore()
        let bare = try TemporaryDirectory("programs")
        try FileManager.default.createSymbolicLink(atPath: bare("etcdctl"), withDestinationPath: "/usr/bin/etcdctl")
        let without = try adapter(etcd, temporary, programs: bare.path)
        let missing = await thrownFailure { _ = try await DrilledRestore.of(restore, without) { _ in } }
        #expect(missing?.code == .programMissing, "\(missing as Any)")
        #expect(missing?.summary.contains("no etcd to drill with") == true, "\(missing as Any)")

        let whole = try adapter(etcd, temporary)
        let died = await thrownFailure {
            _ = try await DrilledRestore.of(restore, whole) { copy in
                let place = copy.places(of: restore)["ETCDCTL_ENDPOINTS"]?.dropFirst("unix://".count) ?? ""
                let folder = (String(place) as NSString).deletingLastPathComponent
                for pid in try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap({ pid_t($0) }) {
                    let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
                    if String(decoding: line, as: UTF8.self).contains("--data-dir=\(folder)/data\0") {
                        kill(pid, SIGKILL)
                    }
                }
                throw Failure(.verifyFailed, "nobody answers any more")
            }
        }
        #expect(died?.summary.hasPrefix("etcd ended by itself (signal 9)") == true, "\(died as Any)")
        try await etcd.stop()
    }
}
