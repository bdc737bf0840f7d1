// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CCurl
import Foundation

/// What the callbacks of one transfer work on. Only the thread that performs the transfer touches it.
final class TransferState {
    private let body: UnsafeRawBufferPointer
    private var sent = 0
    private let limit: UploadLimit?
    private let cancellation: CancellationFlag
    private let maximumResponse: Int

    /// Takes parts of a reply's body on the transfer's thread.
    typealias Output = @Sendable (UnsafeRawBufferPointer) throws -> Void

    private let feed: UploadFeed?
    private let output: Output?
    /// The status of the reply whose head came last.
    private var status = 0
    /// Bytes of body given to `output`.
    private(set) var handedOver: UInt64 = 0
    /// Why `output` stopped.
    private(set) var outputError: (any Error)?

    private(set) var headers: [HTTPHeader] = []
    /// The last reply of a mail server that is no refusal and no farewell.
    private(set) var lastReply = ""
    /// The last reply of a mail server that refuses something.
    private(set) var refusal: (code: Int, line: String)?
    private(set) var received: [UInt8] = []
    private(set) var isTooLarge = false

    init(
        body: UnsafeRawBufferPointer, limit: UploadLimit?, cancellation: CancellationFlag, maximumResponse: Int,
        feed: UploadFeed? = nil, output: Output? = nil
    ) {
        self.feed = feed
        self.output = output
        self.body = body
        self.limit = limit
        self.cancellation = cancellation
        self.maximumResponse = maximumResponse
    }

    /// Whether the reply's body goes to `output`: that of a failure is short, and its reader wants all of it.
    var handsOver: Bool { output != nil && (200..<300).contains(status) }

    /// The length that the reply announced.
    var announcedLength: UInt64? {
        headers.last { $0.name.lowercased() == "content-length" }.flatMap { UInt64($0.value) }
    }

    /// Whether the reply says where its body ends; else its end is just the end of the connection.
    var hasDelimitedBody: Bool {
        headers.contains { field in
            let name = field.name.lowercased()
            return name == "content-length" || (name == "transfer-encoding" && field.value.lowercased() == "chunked")
        }
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> TransferState? {
        context.map { Unmanaged<TransferState>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Gives libcurl the next part of the body.
    static let read: salvor_curl_data_callback = { destination, size, count, context in
        guard let state = TransferState.of(context), let destination else { return Int(CURL_READFUNC_ABORT) }
        return state.copyBody(to: destination, atMost: size * count)
    }

    private func copyBody(to destination: UnsafeMutablePointer<CChar>, atMost space: Int) -> Int {
        if let feed {
            let room = UnsafeMutableRawBufferPointer(
                start: destination, count: min(space, limit?.largestGrant ?? space))
            guard let count = feed.read(into: room, cancellation), pause(limit?.book(count) ?? 0) else {
                return Int(CURL_READFUNC_ABORT)
            }
            return count
        }
        var count = min(space, body.count - sent)
        guard count > 0, let start = body.baseAddress else { return 0 }
        if let limit {
            count = min(count, limit.largestGrant)
            guard pause(limit.book(count)) else { return Int(CURL_READFUNC_ABORT) }
        }
        memcpy(destination, start + sent, count)
        sent += count
        return count
    }

    /// Sleeps on the transfer's own thread, in slices so that cancelling works; false when cancelled.
    private func pause(_ seconds: Double) -> Bool {
        var left = seconds
        while left > 0 {
            if cancellation.isCancelled { return false }
            let slice = min(left, 0.2)
            Thread.sleep(forTimeInterval: slice)
            left -= slice
        }
        return !cancellation.isCancelled
    }

    /// Goes back to `offset` of the body.
    static let seek: salvor_curl_seek_callback = { context, offset, origin in
        guard let state = TransferState.of(context), origin == SEEK_SET, state.feed == nil,
            (0...state.body.count).contains(Int(offset))
        else { return CURL_SEEKFUNC_FAIL }
        state.sent = Int(offset)
        return CURL_SEEKFUNC_OK
    }

    /// Takes a part of the reply's body; a count other than the one offered makes libcurl stop.
    static let write: salvor_curl_data_callback = { data, size, count, context in
        guard let state = TransferState.of(context), let data else { return 0 }
        let offered = size * count
        if state.handsOver {
            return state.handOver(UnsafeRawBufferPointer(start: data, count: offered)) ? offered : 0
        }
        guard state.received.count + offered <= state.maximumResponse else {
            state.isTooLarge = true
            return 0
        }
        if state.received.isEmpty { state.reserveAnnounced() }
        state.received.append(contentsOf: UnsafeRawBufferPointer(start: data, count: offered))
        return offered
    }

    private func handOver(_ bytes: UnsafeRawBufferPointer) -> Bool {
        do {
            try output?(bytes)
            handedOver += UInt64(bytes.count)
            return true
        } catch {
            outputError = error
            return false
        }
    }

    /// Avoids growing a large body step by step. What the server announces is only believed up to the maximum.
    private func reserveAnnounced() {
        guard let field = headers.last(where: { $0.name.lowercased() == "content-length" }),
            let length = Int(field.value), length > 0
        else { return }
        received = LargeArrays.take(min(length, maximumResponse))
    }

    /// Takes one header line. A status line begins a reply and forgets the interim one before it.
    static let header: salvor_curl_data_callback = { data, size, count, context in
        guard let state = TransferState.of(context), let data else { return 0 }
        let offered = size * count
        let line = String(decoding: UnsafeRawBufferPointer(start: data, count: offered), as: UTF8.self)
        state.take(line)
        return offered
    }

    private func take(_ line: String) {
        takeReply(line.trimmingCharacters(in: .whitespacesAndNewlines))
        if line.hasPrefix("HTTP/") {
            headers = []
            status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespacesAndNewlines)
            headers.append(HTTPHeader(String(line[..<colon]), value))
        }
    }

    /// Mail servers begin each line with three digits; 221 answers libcurl's QUIT.
    private func takeReply(_ line: String) {
        guard let code = Int(line.prefix(3)), (200..<600).contains(code) else { return }
        if code >= 400 { refusal = (code, line) } else if code != 221 { lastReply = line }
    }

    /// Asked about once a second, and after every part: anything but 0 stops the transfer.
    static let progress: salvor_curl_progress_callback = { context, _, _, _, _ in
        guard let state = TransferState.of(context) else { return 1 }
        return state.cancellation.isCancelled ? 1 : 0
    }
}
