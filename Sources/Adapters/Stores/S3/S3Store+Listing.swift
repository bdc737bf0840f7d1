// SPDX-License-Identifier: Apache-2.0
public import Domain
import Transfer

extension S3Store {
    public func list(_ prefix: String, _ page: @Sendable ([StoredObject]) async throws -> Void) async throws {
        try StoreKey.checkPrefix(prefix)
        var previous: String?
        try await forEachPage(prefix: prefix, delimiter: nil) { reply in
            var objects: [StoredObject] = []
            for object in reply.objects {
                guard let key = try relative(object.key, to: prefix) else { continue }
                objects.append(StoredObject(key: key, size: object.size))
            }
            // A server may sort otherwise inside a page; between pages there is nothing that could be put right.
            objects.sort { StoreKey.areInOrder($0.key, $1.key) }
            for object in objects {
                if let previous, !StoreKey.areInOrder(previous, object.key) {
                    throw Failure(
                        .storageFailed,
                        "the store's listing of '\(prefix)' in \(location) is out of order or repeats "
                            + "itself at '\(object.key)'")
                }
                previous = object.key
            }
            if !objects.isEmpty { try await page(objects) }
        }
    }

    public func folders(under prefix: String) async throws -> [String] {
        try StoreKey.checkFolder(prefix)
        var names: Set<String> = []
        try await forEachPage(prefix: prefix, delimiter: "/") { reply in
            for folder in reply.prefixes {
                guard let key = try relative(folder, to: prefix), key.hasSuffix("/") else { continue }
                names.insert(String(key.dropFirst(prefix.count).dropLast()))
            }
        }
        return names.sorted(by: StoreKey.areInOrder)
    }

    /// A whole key relative to the repository; nil for the marker objects that some tools make for folders. Throws when it
    /// was not asked for.
    private func relative(_ whole: String, to prefix: String) throws -> String? {
        let root = connection.location.prefix
        guard whole.utf8.starts(with: (root + prefix).utf8) else {
            throw Failure(
                .storageFailed, "the store's listing of '\(prefix)' in \(location) holds '\(whole)', which is elsewhere"
            )
        }
        let key = String(decoding: whole.utf8.dropFirst(root.utf8.count), as: UTF8.self)
        return key.isEmpty || key == prefix && key.hasSuffix("/") ? nil : key
    }

    private func forEachPage(
        prefix: String, delimiter: String?, _ body: (ListReply) async throws -> Void
    ) async throws {
        var token: String?
        var used: Set<String> = []
        repeat {
            let reply = try await listPage(prefix: prefix, delimiter: delimiter, token: token, count: 1000)
            if let next = reply.next, !used.insert(next).inserted {
                throw Failure(
                    .storageFailed, "the store's listing of '\(prefix)' in \(location) goes round in circles")
            }
            try await body(reply)
            token = reply.next
        } while token != nil
    }

    /// One page, tried again until it is whole and readable.
    public func time() async throws -> Timestamp? {
        var call = S3Connection.Call(method: "GET", key: nil, what: "asking \(location) for its time")
        call.query = [(name: "list-type", value: "2"), (name: "max-keys", value: "1")]
        call.query.append((name: "prefix", value: connection.location.prefix))
        return try await connection.send(call).response.header("Date").flatMap(HTTPDate.parse)
    }

    func listPage(prefix: String, delimiter: String?, token: String?, count: Int) async throws -> ListReply {
        let what = "'\(prefix)' in \(location)"
        var call = S3Connection.Call(method: "GET", key: nil, what: "listing \(what)")
        call.maximumResponse = 64 << 20
        call.query = [
            (name: "list-type", value: "2"), (name: "max-keys", value: String(count)),
            (name: "encoding-type", value: "url"), (name: "prefix", value: connection.location.prefix + prefix),
        ]
        if let delimiter { call.query.append((name: "delimiter", value: delimiter)) }
        if let token { call.query.append((name: "continuation-token", value: token)) }
        let response = try await connection.send(call) { response in
            // Servers may begin a 200 before they know that they will fail, and a proxy may cut it: both are tried again.
            _ = try ListReply(response.body, what: what)
        }.response
        noteBucket()
        return try ListReply(response.body, what: what)
    }
}
