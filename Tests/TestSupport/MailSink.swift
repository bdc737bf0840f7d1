// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// A real mail server (aiosmtpd) or an HTTPS server on 127.0.0.1 that keeps what it was given, gone with the value.
public final class MailSink: Sendable {
    /// How the server protects itself and what it refuses.
    public struct Settings: Codable, Sendable {
        /// `smtp`, `starttls` (required before a mail), `smtps`, or `https`.
        public var kind: String
        /// Who may send mail; nil: everybody, and AUTH is not offered.
        public var user: String?
        public var password: String?
        /// Recipients that do not exist.
        public var unknown: [String]
        /// What is answered to a message instead of taking it, such as `451 later`.
        public var answer: String?
        var certificate = ""
        var key = ""

        public init(
            _ kind: String, user: String? = nil, password: String? = nil, unknown: [String] = [], answer: String? = nil
        ) {
            self.kind = kind
            self.user = user
            self.password = password
            self.unknown = unknown
            self.answer = answer
        }
    }

    /// One mail, or one HTTPS request, as it arrived.
    public struct Mail: Decodable, Sendable {
        public var from: String
        public var to: [String]
        public var isEncrypted: Bool
        /// The name the client gave with EHLO.
        public var hello: String
        public var user: String?
        /// The message as it was, in base64; of a request its body.
        public var content: Data
        public var text: String { String(decoding: content, as: UTF8.self) }
    }

    public let port: Int
    /// What clients must trust; nil: the server has no certificate.
    public let caFile: String?
    private let folder: TemporaryDirectory
    private let process: Process
    private let lifeline: FileHandle

    /// The interpreter that `scripts/install-test-smtp` prepares.
    public static var python: String {
        let environment = ProcessInfo.processInfo.environment
        let cache =
            environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 }
            ?? "\(environment["HOME"] ?? "/root")/.cache"
        return "\(cache)/salvor-tests/smtp/bin/python"
    }

    /// Starts the server and waits until it listens.
    public init(_ settings: Settings) throws {
        guard FileManager.default.isExecutableFile(atPath: Self.python) else {
            throw ShortCommand.Failed(description: "no mail server: run scripts/install-test-smtp")
        }
        folder = try TemporaryDirectory("sink")
        var settings = settings
        if settings.kind == "smtp" {
            caFile = nil
        } else {
            let certificates = try TestCertificates(in: folder.path)
            settings.certificate = certificates.certificateFile
            settings.key = certificates.keyFile
            caFile = certificates.caFile
        }
        try folder.write("sink.py", Self.program)
        try Data(try JSONEncoder().encode(settings)).write(to: URL(fileURLWithPath: folder("settings.json")))
        // The log stays outside of the folder, which goes with the server.
        (process, lifeline) = try TestTool.launch(
            Self.python, [folder("sink.py"), folder.path], log: folder("log"), removing: folder("mails"))
        var port: Int?
        for _ in 0..<1200 where port == nil {
            port = (try? String(contentsOfFile: folder("port"), encoding: .utf8)).flatMap { Int($0) }
            if port == nil { usleep(25_000) }
        }
        guard let port else {
            let log = (try? String(contentsOfFile: folder("log"), encoding: .utf8)) ?? ""
            throw ShortCommand.Failed(description: "the mail server does not start: \(log)")
        }
        self.port = port
    }

    deinit {
        try? lifeline.close()
        process.waitUntilExit()
    }

    /// Everything taken so far, in order.
    public var mails: [Mail] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: folder("mails")).filter { $0.hasSuffix(".json") }
                .sorted()
                .map {
                    try JSONDecoder().decode(
                        Mail.self, from: Data(contentsOf: URL(fileURLWithPath: folder("mails/\($0)"))))
                }
        }
    }

    /// Written before the server says that it has taken the mail, and renamed into place.
    private static let program = """
        import asyncio, base64, json, os, ssl, sys
        folder = sys.argv[1]
        settings = json.load(open(folder + "/settings.json"))
        os.mkdir(folder + "/mails")
        count = 0

        def keep(**mail):
            global count
            count += 1
            name = "%s/mails/%06d" % (folder, count)
            with open(name, "w") as file:
                json.dump(mail, file)
            os.rename(name, name + ".json")

        def listening(port):
            with open(folder + "/port.new", "w") as file:
                file.write(str(port))
            os.rename(folder + "/port.new", folder + "/port")

        context = None
        if settings["kind"] != "smtp":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(settings["certificate"], settings["key"])

        if settings["kind"] == "https":
            import http.server
            class Handler(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def do_POST(self):
                    body = self.rfile.read(int(self.headers["content-length"]))
                    keep(**{"from": self.path, "to": [], "isEncrypted": True, "hello": self.command, "user": None,
                            "content": base64.b64encode(body).decode()})
                    self.send_response(204)
                    self.end_headers()
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            listening(server.server_address[1])
            server.serve_forever()

        from aiosmtpd.smtp import SMTP, AuthResult

        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                if address in settings["unknown"]:
                    return "550 5.1.1 no such user here"
                envelope.rcpt_tos.append(address)
                return "250 2.1.5 known"
            async def handle_DATA(self, server, session, envelope):
                if settings.get("answer"):
                    return settings["answer"]
                cipher = server.transport.get_extra_info("cipher")
                keep(**{"from": envelope.mail_from, "to": envelope.rcpt_tos, "isEncrypted": cipher is not None,
                        "hello": session.host_name, "user": session.auth_data if session.authenticated else None,
                        "content": base64.b64encode(envelope.content).decode()})
                return "250 2.0.0 taken as %d" % count

        def authenticate(server, session, envelope, mechanism, data):
            user, password = data.login.decode(), data.password.decode()
            if user == settings["user"] and password == settings["password"]:
                return AuthResult(success=True, auth_data=user)
            return AuthResult(success=False, handled=False)

        options = dict(hostname="sink.test", enable_SMTPUTF8=True)
        if settings.get("user"):
            options.update(authenticator=authenticate, auth_required=True,
                           auth_require_tls=settings["kind"] == "starttls")
        if settings["kind"] == "starttls":
            options.update(tls_context=context, require_starttls=True)

        async def main():
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: SMTP(Handler(), loop=loop, **options), "127.0.0.1", 0,
                ssl=context if settings["kind"] == "smtps" else None)
            listening(server.sockets[0].getsockname()[1])
            await server.serve_forever()
        asyncio.run(main())
        """
}
