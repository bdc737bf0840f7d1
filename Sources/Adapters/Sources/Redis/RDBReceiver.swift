// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// Takes a server's RDB over its replication protocol, as a replica would that never attaches.
///
/// The server answers `SYNC` with newlines while it prepares, then with `$<length>` and so many bytes, or with
/// `$EOF:<40 characters>`, the RDB, and the same 40 characters. Neither the length nor the mark is taken for proof: the
/// scanner must find the RDB's own end exactly there.
enum RDBReceiver {
    /// Receives and scans; every byte of the RDB, and nothing else, goes to `forward`. Blocks.
    ///
    /// - Throws: `RespRefusal` when the server does not serve replicas; `Failure` when the RDB is short or damaged.
    static func receive(
        from connection: RespConnection, _ flag: CancellationFlag,
        forward: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws -> RDBSummary {
        try introduce(connection, flag)
        try connection.send(["SYNC"])
        return try transfer(from: connection, flag, forward: forward)
    }

    /// Says what this end understands.
    static func introduce(_ connection: RespConnection, _ flag: CancellationFlag) throws {
        for words in [["REPLCONF", "capa", "eof"], ["REPLCONF", "rdb-only", "1"]] {
            // Servers before 7.0 do not know `rdb-only`; then this end closes the connection after the RDB.
            do { _ = try connection.call(words, flag) } catch let refusal as RespRefusal where !refusal.isDenied {}
        }
    }

    /// Receives and scans what a server sends that was asked for a copy.
    static func transfer(
        from connection: RespConnection, _ flag: CancellationFlag,
        forward: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws -> RDBSummary {
        var first = try connection.byte(flag)
        while first == 10 { first = try connection.byte(flag) }
        let line = try connection.line(flag)
        guard first == UInt8(ascii: "$") else {
            throw RespRefusal(command: "SYNC", message: line)
        }
        let payload: Payload
        if let mark = line.droppingPrefix("EOF:") {
            guard mark.utf8.count == 40 else {
                throw Failure(.sourceFailed, "\(connection.name) announced an RDB with a garbled end mark")
            }
            payload = Payload(connection, flag, end: .mark(Array(mark.utf8)))
        } else {
            guard let length = UInt64(line) else {
                throw Failure(.sourceFailed, "\(connection.name) announced an RDB of unknown length")
            }
            payload = Payload(connection, flag, end: .length(length))
        }
        return try RDBScanner.scan(RDBInput(next: { try payload.next() }, forward: forward))
    }

    /// The RDB's bytes without what surrounds them on the wire.
    private final class Payload {
        enum End {
            case mark([UInt8])
            case length(UInt64)
        }

        private let connection: RespConnection
        private let flag: CancellationFlag
        private let end: End
        private var received: UInt64 = 0
        private var held: [UInt8] = []
        private var isOver = false
        private let room: UnsafeMutableRawBufferPointer

        init(_ connection: RespConnection, _ flag: CancellationFlag, end: End) {
            self.connection = connection
            self.flag = flag
            self.end = end
            room = .allocate(byteCount: 256 << 10, alignment: 16)
        }

        deinit { room.deallocate() }

        func next() throws -> [UInt8]? {
            guard !isOver else { return nil }
            switch end {
            case .length(let length):
                guard received < length else { return nil }
                let wanted = Int(min(UInt64(room.count), length - received))
                let count = try connection.read(into: .init(rebasing: room[..<wanted]), flag)
                guard count > 0 else { throw cut(received, of: length) }
                received += UInt64(count)
                return Array(room[..<count])
            case .mark(let mark): return try next(until: mark)
            }
        }

        /// Always holds back as many bytes as the mark has, and some more, because servers before the fix of
        /// https://github.com/redis/redis/issues/11261 may send newlines after it.
        private func next(until mark: [UInt8]) throws -> [UInt8] {
            while true {
                let count = try connection.read(into: room, flag)
                guard count > 0 else { throw cut(received, of: nil) }
                received += UInt64(count)
                held += room[..<count]
                let newlines = min(16, held.reversed().prefix { $0 == 10 }.count)
                for dropped in 0...newlines where held.dropLast(dropped).suffix(mark.count).elementsEqual(mark) {
                    isOver = true
                    return Array(held.dropLast(dropped + mark.count))
                }
                let ready = held.count - mark.count - 16
                if ready > 0 {
                    let bytes = Array(held[..<ready])
                    held.removeFirst(ready)
                    return bytes
                }
            }
        }

        private func cut(_ received: UInt64, of length: UInt64?) -> Failure {
            let whole = length.map { " of \($0)" } ?? ""
            return Failure(
                .sourceFailed,
                "\(connection.name) closed the connection after \(received)\(whole) bytes of the RDB",
                hint: "Look for 'client-output-buffer-limit replica' and failed saves in the server's log.")
        }
    }
}
