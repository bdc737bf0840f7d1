// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc
import Transports

/// Finds servers by major.
actor PostgreSQLBinaries {
    static let shared = PostgreSQLBinaries()
    private var copies: [Int: (keeper: Keeper, folder: String)] = [:]

    func folder(_ major: Int) async throws -> String {
        if let copy = copies[major] { return copy.folder }
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["XDG_CACHE_HOME"] ?? "\(environment["HOME"] ?? "")/.cache"
        let tree = "\(cache)/salvor-tests/postgresql/\(major)"
        let candidates = ["/usr/lib/postgresql/\(major)/bin", "/usr/pgsql-\(major)/bin", "\(tree)/bin"]
        guard let found = candidates.first(where: { access("\($0)/postgres", X_OK) == 0 }) else {
            throw Failure(
                .programMissing, "no PostgreSQL \(major) to test with", hint: "Run scripts/install-test-postgresql.")
        }
        guard geteuid() == 0, found == "\(tree)/bin" else { return found }
        // The server runs as nobody, who may not look into root's home: give it a copy.
        let copy = "/tmp/salvor-pg\(major)-\(UUID().uuidString.prefix(8).lowercased())"
        let keeper = try Keeper(folder: copy, nil)
        _ = try await LocalTransport().output(of: Program("cp", ["-a", tree, copy]))
        copies[major] = (keeper, "\(copy)/bin")
        return "\(copy)/bin"
    }
}

enum Account {
    static let nobody = getpwnam("nobody")?.pointee.pw_uid ?? 65534
    static let nogroup = getgrnam("nogroup")?.pointee.gr_gid ?? 65534
}
