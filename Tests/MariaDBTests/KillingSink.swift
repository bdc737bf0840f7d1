// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import MariaDB
import Synchronization
import TestSupport
import Transports

/// A capture sink that does something once so many bytes have arrived.
final class KillingSink: CaptureSink {
    private let inner = MemoryCapture()
    private let left: Mutex<Int>
    private let action: @Sendable () throws -> Void

    init(after bytes: Int, _ action: @escaping @Sendable () throws -> Void) {
        left = Mutex(bytes)
        self.action = action
    }

    func raw(
        _ name: String, fileName: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink) async throws -> StreamEnd
    ) async throws -> StreamReceipt {
        try await inner.raw(name, fileName: fileName, estimatedBytes: estimatedBytes) { sink in
            try await body(
                ClosureSink { bytes in
                    try sink.write(bytes)
                    let isDue = self.left.withLock { left in
                        let wasOpen = left > 0
                        left -= bytes.count
                        return wasOpen && left <= 0
                    }
                    if isDue { try self.action() }
                })
        }
    }

    func tree(
        _ name: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink, TreeBase?) async throws -> TreeEnd
    ) async throws -> StreamReceipt {
        try await inner.tree(name, estimatedBytes: estimatedBytes, body)
    }
}

/// Adapters without a server.
enum MariaDBFactoryFixture {
    static func adapter(_ settings: ConfigNode) throws -> any SourceAdapter {
        try MariaDBFactory().make(AdapterSettings.environment("mariadb", settings, transport: LocalTransport()))
    }

    /// Of a server that is not there.
    static func absent() throws -> any SourceAdapter {
        let port = try ThrowawayRedis.freePort()
        return try adapter(
            AdapterSettings.mapping([
                "connection": AdapterSettings.mapping([
                    "host": AdapterSettings.text("127.0.0.1"), "port": AdapterSettings.text(String(port)),
                ])
            ]))
    }
}
