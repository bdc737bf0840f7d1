// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

extension KubernetesCarrier {
    /// `kubectl port-forward` until the body ends. kubectl says when it listens, and where.
    func reach<Result: Sendable>(
        host: String, port: Int, _ body: @Sendable (ReachedPort) async throws -> Result
    ) async throws -> Result {
        guard ["localhost", "127.0.0.1", "::1"].contains(host) else {
            throw Failure(
                .sourceUnreachable, "\(description): '\(host)' is not the pod itself",
                hint: "A port of a pod is forwarded from its own loopback: name 127.0.0.1 in the source's settings.")
        }
        let target = try await chosen()
        let program = client(["port-forward", "--address", "127.0.0.1", "pod/\(target.pod)", ":\(port)"])
        let (ports, found) = AsyncStream<Int>.makeStream()
        let forwarding = Task {
            defer { found.finish() }
            return try await LocalTransport().run(program) { pipes in
                try await Blocking.run {
                    var said: [UInt8] = []
                    // To the end: if nobody read on, kubectl would stand still one day.
                    try pipes.forEachChunk { chunk in
                        guard said.count < 64 << 10 else { return }
                        said.append(contentsOf: chunk)
                        if let port = Self.forwardedPort(in: said) { found.yield(port) }
                    }
                }
            }.1
        }
        return try await withTaskCancellationHandler {
            var iterator = ports.makeAsyncIterator()
            guard let here = await iterator.next() else {
                try Task.checkCancellation()
                let exit = try await forwarding.value
                await forget()
                throw failure(exit)
            }
            do {
                let result = try await body(ReachedPort(host: "127.0.0.1", port: here))
                forwarding.cancel()
                _ = await forwarding.result
                return result
            } catch {
                forwarding.cancel()
                _ = await forwarding.result
                throw error
            }
        } onCancel: {
            forwarding.cancel()
        }
    }

    /// The port of `Forwarding from 127.0.0.1:41235 -> 5432`.
    private static func forwardedPort(in said: [UInt8]) -> Int? {
        for line in String(decoding: said, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count >= 5, words[0] == "Forwarding", words[3] == "->",
                let port = words[2].split(separator: ":").last.flatMap({ Int($0) })
            {
                return port
            }
        }
        return nil
    }

    /// Through `reach`, as long as the caller has the descriptor.
    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        try await ServedSocket.open(
            timeoutSeconds: timeoutSeconds, object: "\(description), port \(port)"
        ) { socket, isReady in
            try await reach(host: host, port: port) { reached in
                let far = OwnedSocket(
                    try await Blocking.run {
                        try SocketConnection.open(
                            host: reached.host, port: reached.port, timeoutSeconds: timeoutSeconds)
                    })
                isReady()
                await SocketPump.run(socket, SocketPump.FarEnd(far))
                far.end()
            }
        }
    }
}
