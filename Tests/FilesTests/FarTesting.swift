// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Files

/// What tests of files over transports share.
protocol FarTesting {}

extension FarTesting {
    func adapter(
        _ transport: any Transport, _ paths: [String], _ settings: [String: [String]] = [:]
    ) throws -> FarFilesAdapter {
        FarFilesAdapter(try TreeFixture.settings(["paths": paths].merging(settings) { $1 }), transport)
    }

    func restore(
        _ capture: MemoryCapture, _ report: CaptureReport, include: [String] = [], _ scratch: TemporaryDirectory
    ) throws -> SourceRestore {
        SourceRestore(
            restoreID: "k3f9", bundle: try #require(BundleID("20261121T020003Z-nightly-k3f9qz")),
            contents: Contents.Source(
                name: "config", engine: report.engine, facts: report.facts, restoreData: report.restoreData,
                notices: report.notices, position: nil),
            streams: capture.streams, include: include, scratchDirectory: scratch.path)
    }

    func captured(
        _ adapter: FarFilesAdapter, base: MemoryCapture? = nil
    ) async throws -> (MemoryCapture, MemoryStream, CaptureReport) {
        // What changed within the last clock ticks is stored again.
        try await Task.sleep(for: .milliseconds(60))
        let capture = MemoryCapture(base: base)
        let report = try await adapter.capture(into: capture)
        return (capture, try #require(capture.stream("tree")), report)
    }
}

/// A transport whose programs are looked for in a folder first.
struct PathTransport: Transport {
    var inner: any Transport
    var folder: String
    var description: String { inner.description }
    var reachesLocalFiles: Bool { false }

    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) {
        var program = program
        program.environment["PATH"] = "\(folder):/usr/bin:/bin"
        return try await inner.run(program, body)
    }

    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        try await inner.connect(host: host, port: port, timeoutSeconds: timeoutSeconds)
    }
}
