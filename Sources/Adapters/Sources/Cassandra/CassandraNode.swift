// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// One node as it is reached: its tools, which run beside it.
struct CassandraNode: Sendable {
    let settings: CassandraSettings
    let node: CassandraSettings.Node
    let transport: any Transport

    var name: String { node.name }
    var files: NodeFiles { NodeFiles(transport: transport, node: name) }

    /// Runs one command of nodetool and gives what it printed.
    ///
    /// - Throws: `Failure(.sourceUnreachable)`, `.sourceDenied`, or `.sourceFailed` with nodetool's own last words.
    @discardableResult
    func nodetool(_ arguments: [String], limit: Int = 64 << 20) async throws -> String {
        var words = Array(settings.nodetool.dropFirst())
        if let host = node.host { words += ["-h", host] }
        if let port = node.jmxPort { words += ["-p", String(port)] }
        if let user = settings.jmxUser, let file = settings.jmxPasswordFile { words += ["-u", user, "-pwf", file] }
        if settings.jmxTLS { words.append("--ssl") }
        let program = Program(settings.nodetool[0], words + arguments)
        let (bytes, exit) = try await transport.outputAndExit(of: program, limit: limit)
        let text = ToolOutput.lines(bytes)
        guard exit.isSuccess else { throw failure("nodetool \(arguments.first ?? "")", exit, text) }
        return text
    }

    /// Runs statements in one cqlsh and gives what it printed.
    @discardableResult
    func cqlsh(_ statements: String, limit: Int = 256 << 20) async throws -> String {
        var words = Array(settings.cqlsh.dropFirst())
        words += ["--no-color", "--request-timeout=\(settings.requestTimeout)"]
        if settings.cqlTLS { words.append("--ssl") }
        if let file = settings.cqlshrc { words += ["--cqlshrc", file] }
        if let file = settings.cqlCredentials { words += ["--credentials", file] }
        words += ["-e", statements]
        if node.host != nil || node.cqlPort != nil { words.append(node.host ?? "127.0.0.1") }
        if let port = node.cqlPort { words.append(String(port)) }
        let program = Program(settings.cqlsh[0], words)
        let (bytes, exit) = try await transport.outputAndExit(of: program, limit: limit)
        let text = ToolOutput.lines(bytes)
        // A statement that fails in the middle of several is told by the status 2 at the end.
        guard exit.isSuccess else { throw failure("cqlsh", exit, text) }
        return text
    }

    /// The rows of one `SELECT JSON` statement.
    func rows(_ select: String) async throws -> [JSONValue] {
        do { return try ToolOutput.rows(await cqlsh(select)) } catch let failure as Failure {
            throw failure
        } catch { throw Failure(.sourceFailed, "node '\(name)': the answer of cqlsh cannot be read: \(error)") }
    }

    /// `SELECT count(*)`, at QUORUM, so that a replica that lacks something does not answer alone.
    func count(_ keyspace: String, _ table: String) async throws -> Int64 {
        let rows = try await rows(
            "CONSISTENCY QUORUM; SELECT JSON count(*) FROM \(CQLText.qualified(keyspace, table));")
        guard let count = rows.first?["count"]?.integer else {
            throw Failure(.sourceFailed, "node '\(name)' does not count '\(keyspace).\(table)'")
        }
        return count
    }

    private func failure(_ what: String, _ exit: ProgramExit, _ output: String) -> Failure {
        var words = exit.lastWords
        if words.isEmpty {
            words = output.split(whereSeparator: \.isNewline).suffix(3).joined(separator: "; ")
        }
        let text = "node '\(name)': \(what) failed (\(exit.status)): \(words)"
        let marks = (exit.standardError + output).lowercased()
        func says(_ parts: String...) -> Bool { parts.contains { marks.contains($0) } }
        // nodetool: NodeCmd/NodeTool "Failed to connect to 'H:P' - SecurityException: 'Authentication failed! …'".
        if says("authentication failed", "failed to authenticate", "bad credentials", "unauthorized", "access denied") {
            return Failure(
                .sourceDenied, text,
                hint:
                    "Correct the user and its files under 'connection', and grant what docs/sources/cassandra.md lists."
            )
        }
        if says("failed to connect", "connection error", "unable to connect", "connection refused") {
            return Failure(
                .sourceUnreachable, text,
                hint: "See that the node is up ('nodetool status') and that 'host' and the ports are right.")
        }
        return Failure(.sourceFailed, text)
    }
}
