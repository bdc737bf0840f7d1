// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

/// What a restore finds before it begins: the live server, and a program to stage with.
struct RedisTarget: Sendable {
    var info: RedisInfo
    var product: RedisProduct
    var format: RDBVersion?
    /// The scratch server's program and version; nil when none was found.
    var program: String?
    var programProduct: RedisProduct?
    /// Where the live server will reach the scratch server; nil when it cannot be known.
    var address: String?
    var blockers: [String] = []
    var warnings: [String] = []
}

extension RedisAdapter {
    /// Looks at the live server and for a program; only reads.
    func target(for restore: SourceRestore) async throws -> RedisTarget {
        let connection = try await live.connect()
        let info = try await live.saying { try await connection.info() }
        guard let product = RedisProduct(info: info) else {
            throw Failure(.sourceFailed, "the server at \(live.name) does not tell its version")
        }
        var target = RedisTarget(info: info, product: product, format: RDBVersion(product: product))
        let data = restore.contents.restoreData
        target.address = address(connection)
        if target.address == nil {
            target.blockers.append(
                "no address is known under which \(live.name) reaches this host: set 'restore.scratch-address'")
        }
        if try await connection.ifAllowed("CONFIG", "GET", "tls-replication")?.pairs["tls-replication"]?.text == "yes",
            target.address != "127.0.0.1"
        {
            target.warnings.append(
                "\(live.name) takes the data from the scratch server without TLS, over the network between them")
        }
        checkRole(&target)
        checkRequest(restore, &target)
        try await live.saying { try await checkRoom(data, connection, &target) }
        await findProgram(data, &target)
        return target
    }

    private func address(_ connection: RespConnection) -> String? {
        if let address = settings.scratchAddress { return address }
        // Through a transport the scratch server runs beside the live one.
        if settings.socket != nil || !environment.transport.reachesLocalFiles { return "127.0.0.1" }
        guard let local = connection.localAddress else { return nil }
        return local == "::1" || local.hasPrefix("127.") ? "127.0.0.1" : local
    }

    private func checkRole(_ target: inout RedisTarget) {
        if target.info.isCluster {
            target.blockers.append("\(live.name) is in cluster mode, where a node cannot be replaced this way")
        }
        if target.info.isReplica {
            target.blockers.append("\(live.name) is a replica: restore on its master")
        }
        if target.info.isLoading { target.blockers.append("\(live.name) is still loading its data") }
        if let count = target.info.number("connected_slaves"), count > 0 {
            target.warnings.append("\(count) replicas follow \(live.name) and will copy the restored data in full")
        }
    }

    private func checkRequest(_ restore: SourceRestore, _ target: inout RedisTarget) {
        if restore.rename != nil {
            target.blockers.append("a Redis server is restored as a whole and has no other name")
        }
        if !restore.include.isEmpty {
            target.blockers.append("a Redis server is restored as a whole: '--include' selects nothing in it")
        }
        if restore.contents.restoreData["cluster"]?.bool == true {
            target.warnings.append("the copy is one node of a cluster: it holds only that node's slots")
        }
    }

    private func checkRoom(
        _ data: JSONValue, _ connection: RespConnection, _ target: inout RedisTarget
    ) async throws {
        let needed = data["databases"]?.integer ?? 16
        let offered = try await connection.ifAllowed("CONFIG", "GET", "databases")?.pairs["databases"]?.text
        // A server that is sent a database it does not have ends at once.
        if let offered = offered.flatMap({ Int64($0) }), offered < needed {
            target.blockers.append(
                "\(live.name) has \(offered) databases and the copy needs \(needed): raise 'databases'")
        }
        let used = data["usedMemory"]?.integer ?? 0
        let limit = target.info.number("maxmemory") ?? 0
        if limit > 0, used > limit {
            let policy = target.info["maxmemory_policy"] ?? "noeviction"
            let problem = "the copy took \(used) bytes of memory, and 'maxmemory' of \(live.name) is \(limit)"
            if policy == "noeviction" {
                target.warnings.append(problem)
            } else {
                target.blockers.append("\(problem): keys would be evicted; raise it first")
            }
        }
        let loaded = try await connection.modules()
        let missing = (data["modules"]?.array ?? []).compactMap(\.string).filter { !loaded.contains($0) }
        if !missing.isEmpty {
            target.blockers.append("\(live.name) lacks the modules \(missing.joined(separator: ", "))")
        }
        if let clients = try await connection.ifAllowed("CLIENT", "LIST")?.text, clients.contains("name=sentinel-") {
            target.warnings.append("a Sentinel watches \(live.name): pause its failover during the promotion")
        }
    }

    private func findProgram(_ data: JSONValue, _ target: inout RedisTarget) async {
        let bundled = data["format"]?.string.flatMap { RDBVersion(magic: Array($0.utf8)) }
        if let bundled, let format = target.format, !format.loads(bundled) {
            target.blockers.append("\(target.product) cannot load RDB format \(bundled): restore on a newer server")
        }
        var candidates = [settings.scratchProgram].compactMap { $0 }
        if candidates.isEmpty {
            let own = target.info["executable"] ?? ""
            if target.address == "127.0.0.1", own.hasPrefix("/"),
                !environment.transport.reachesLocalFiles || access(own, X_OK) == 0
            {
                candidates.append(own)
            }
            candidates += target.product.name == .valkey ? ["valkey-server"] : ["redis-server", "valkey-server"]
        }
        var problems: [String] = []
        for candidate in candidates {
            do {
                let output = try await environment.transport.output(of: Program(candidate, ["--version"]))
                guard let product = RedisProduct(versionOutput: String(decoding: output, as: UTF8.self)),
                    let format = RDBVersion(product: product)
                else {
                    problems.append("'\(candidate)' does not tell its version")
                    continue
                }
                if let bundled, !format.loads(bundled) {
                    problems.append("'\(candidate)' (\(product)) cannot load RDB format \(bundled)")
                } else if let own = target.format, !own.loads(format) {
                    problems.append("'\(candidate)' (\(product)) writes a format newer than \(target.product) loads")
                } else {
                    (target.program, target.programProduct) = (candidate, product)
                    return
                }
            } catch { problems.append(Failure.wrapping(error).summary) }
        }
        target.blockers.append(
            "no server program to stage with: \(problems.joined(separator: "; ")); set 'restore.scratch-program'")
    }
}
