// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Monitoring
import PlanFiles
import Serving
import Synchronization

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve metrics to Prometheus over HTTP.",
        discussion: """
            /metrics gives what 'status' knows, /healthz answers as long as this process lives. Repositories are looked at \
            every --refresh, however often somebody scrapes, and one that does not answer is salvor_repository_up 0. Only \
            reads; ends on SIGTERM when the requests under way are answered.
            """)

    @OptionGroup var global: GlobalOptions

    @Flag(help: "Serve metrics and nothing else: the only thing there is yet.")
    var metricsOnly = false

    @Option(help: ArgumentHelp("Where to listen; port 0 is any free one.", valueName: "address:port"))
    var listen = ListenOption.standard

    @Option(help: ArgumentHelp("How often to look at the repositories, such as 30s or 5m.", valueName: "duration"))
    var refresh = RefreshInterval.standard

    @Option(help: ArgumentHelp("How long a repository may take to answer.", valueName: "seconds"))
    var timeout = 60

    struct Result: Codable {
        var address: String
    }

    func validate() throws {
        guard metricsOnly else {
            throw ValidationError("There is no console yet: say --metrics-only.")
        }
        guard (1...3600).contains(timeout) else { throw ValidationError("--timeout must be from 1 to 3600.") }
    }

    func run() async throws {
        let session = try Session(global)
        // What is known before the first look: nothing, and that the process is there.
        let board = MetricsBoard(session.metrics([]))
        let server = PageServer(
            listen.address,
            pages: [
                "/metrics": { Page(contentType: PrometheusText.contentType, text: board.text) },
                "/healthz": { Page(contentType: "text/plain; charset=utf-8", text: "ok\n") },
            ])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await server.run { address in
                    let text = "serving http://\(address)/metrics"
                    try session.print(Result(address: "\(address)"), command: "serve") { text }
                }
            }
            group.addTask { await keepLooking(session, board) }
            // The server ends by a signal or a failure; looking alone is of no use.
            defer { group.cancelAll() }
            _ = try await group.next()
        }
    }

    private func keepLooking(_ session: Session, _ board: MetricsBoard) async {
        while !Task.isCancelled {
            let entries = await session.status(session.plans, limit: .seconds(timeout))
            guard !Task.isCancelled else { return }
            board.text = session.metrics(entries)
            // Ends early only when the task is cancelled, which the loop looks at.
            try? await Task.sleep(for: .seconds(refresh.seconds))
        }
    }
}

/// The newest metrics, ready to be scraped.
private final class MetricsBoard: Sendable {
    private let kept: Mutex<String>

    init(_ text: String) { kept = Mutex(text) }

    var text: String {
        get { kept.withLock { $0 } }
        set { kept.withLock { $0 = newValue } }
    }
}

/// An address and a port of an option.
struct ListenOption: ExpressibleByArgument {
    let address: ListenAddress

    static let standard = ListenOption(address: ListenAddress(host: "127.0.0.1", port: 9618))

    init(address: ListenAddress) { self.address = address }

    init?(argument: String) {
        guard let address = ListenAddress(argument) else { return nil }
        self.address = address
    }

    var defaultValueDescription: String { address.description }
}

/// A duration of an option.
struct RefreshInterval: ExpressibleByArgument {
    let seconds: Int

    static let standard = RefreshInterval(seconds: 300)

    init(seconds: Int) { self.seconds = seconds }

    init?(argument: String) {
        guard let seconds = PlanDuration.seconds(argument) else { return nil }
        self.seconds = seconds
    }

    var defaultValueDescription: String { PlanDuration.text(seconds) }
}
