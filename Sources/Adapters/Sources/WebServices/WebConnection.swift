// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain
import Transfer

/// Requests to one server while it can be reached. Any status that was not asked for is a `Failure` that names the
/// system, the step, the cause and the remedy; none ever holds the key.
public struct WebConnection: Sendable {
    /// For people: `Qdrant at http://127.0.0.1:6333`.
    public let name: String
    let system: String
    let base: String
    let route: HTTPRequest.Route
    let headers: [HTTPHeader]
    let secret: String?
    let timeoutSeconds: Int
    private let client = HTTPClient()

    init(
        name: String, system: String, base: String, route: HTTPRequest.Route, headers: [HTTPHeader], secret: String?,
        timeoutSeconds: Int
    ) {
        self.name = name
        self.system = system
        self.base = base
        self.route = route
        self.headers = headers
        self.secret = secret
        self.timeoutSeconds = timeoutSeconds
    }

    /// One part of a path, percent-encoded.
    public static func segment(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain =
                (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
                || byte == 45 || byte == 95 || byte == 126 || (byte == 46 && text != "." && text != "..")
            let digits = String(byte, radix: 16, uppercase: true)
            return isPlain ? String(UnicodeScalar(byte)) : "%" + (digits.count == 1 ? "0" : "") + digits
        }.joined()
    }

    /// Sends a request with a body in memory.
    ///
    /// A request that cannot have reached the server is repeated, and so is one that it put off (429), and a GET that
    /// broke off: three attempts in all. Nothing else is.
    ///
    /// - Parameters:
    ///   - path: with a leading slash, encoded, with the query.
    ///   - step: what is being done, for messages: `creating a snapshot of collection 'docs'`.
    ///   - accepting: statuses that are answers; anything else is a failure.
    ///   - patience: seconds without a byte, for what takes long.
    public func send(
        _ method: String, _ path: String, body: [UInt8]? = nil, contentType: String = "application/json",
        step: String, accepting: Set<Int> = [200], patience: Int? = nil
    ) async throws -> WebReply {
        var request = request(method, path, contentType: body == nil ? nil : contentType, patience: patience)
        request.body = body ?? (method == "GET" || method == "DELETE" ? nil : [])
        request.asksFirst = false
        request.isSentOnce = method != "GET"
        var attempt = 1
        while true {
            do {
                let reply = WebReply(try await client.send(request))
                if accepting.contains(reply.status) { return reply }
                let isPutOff = reply.status == 429 || (reply.status == 503 && method == "GET")
                guard isPutOff, attempt < 3 else { throw failure(reply, step) }
                try await Task.sleep(for: .milliseconds(min((reply.retryAfter ?? 1) * 1000, 30_000)))
            } catch let error as TransferError {
                let isSafe = error.kind == .connect || (method == "GET" && error.kind == .reset)
                guard isSafe, attempt < 3 else { throw failure(error, step) }
                try await Task.sleep(for: .milliseconds(150 * attempt))
            }
            attempt += 1
        }
    }

    /// As `send`, with JSON both ways.
    public func json(
        _ method: String, _ path: String, _ body: JSONValue? = nil, step: String, accepting: Set<Int> = [200],
        patience: Int? = nil
    ) async throws -> JSONValue {
        let reply = try await send(
            method, path, body: body.map { Array($0.canonical.utf8) }, step: step, accepting: accepting,
            patience: patience)
        guard let json = reply.json else {
            throw Failure(
                .sourceFailed, "\(name): \(step): the answer is no JSON",
                hint: "Look whether 'connection' really points at \(system).")
        }
        return json
    }

    /// Gives the body of a GET to `consume`, part by part; returns its length once all of it was there.
    public func download(
        _ path: String, step: String, patience: Int? = nil,
        _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> UInt64 {
        var attempt = 1
        while true {
            do {
                let response = try await client.download(
                    request("GET", path, contentType: nil, patience: patience), consume)
                if response.status == 200 { return response.handedOver }
                let reply = WebReply(response)
                guard reply.status == 429, attempt < 3 else { throw failure(reply, step) }
                try await Task.sleep(for: .milliseconds(min((reply.retryAfter ?? 1) * 1000, 30_000)))
            } catch let error as TransferError { throw failure(error, step) }
            attempt += 1
        }
    }

    /// Sends a body of exactly `length` bytes that `produce` writes; nil: as many as come.
    public func upload(
        _ method: String, _ path: String, contentType: String, length: UInt64?, step: String,
        accepting: Set<Int> = [200], patience: Int? = nil,
        consume: (@Sendable (UnsafeRawBufferPointer) throws -> Void)? = nil,
        _ produce: @escaping @Sendable (any ByteSink) async throws -> Void
    ) async throws -> WebReply {
        do {
            let reply = WebReply(
                try await client.upload(
                    request(method, path, contentType: contentType, patience: patience), length: length,
                    consume: consume, produce))
            guard accepting.contains(reply.status) else { throw failure(reply, step) }
            return reply
        } catch let error as TransferError { throw failure(error, step) }
    }

    /// Sends one file of `length` bytes as a form.
    public func uploadForm(
        _ path: String, field: String, fileName: String, length: UInt64, step: String, patience: Int? = nil,
        _ produce: @escaping @Sendable (any ByteSink) async throws -> Void
    ) async throws -> WebReply {
        let form = MultipartFile(field: field, fileName: fileName)
        return try await upload(
            "POST", path, contentType: form.contentType, length: form.length(length), step: step, patience: patience
        ) { sink in
            try await Blocking.run { try sink.write(form.head) }
            try await produce(sink)
            try await Blocking.run { try sink.write(form.tail) }
        }
    }

    private func request(_ method: String, _ path: String, contentType: String?, patience: Int?) -> HTTPRequest {
        var fields = headers + [HTTPHeader("Accept", "*/*")]
        if let contentType { fields.append(HTTPHeader("Content-Type", contentType)) }
        let limits = HTTPRequest.Limits(
            connectSeconds: 20, stallSeconds: patience ?? timeoutSeconds, maximumResponse: 64 << 20)
        return HTTPRequest(method, base + path, headers: fields, limits: limits, route: route)
    }
}
