// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// Servers of this host, by the sockets they listen at, as `/proc` shows them (proc_net_tcp in the kernel's documentation).
/// Of processes only the name is looked at: a command line may hold a password.
struct ListeningSockets: Sendable {
    /// `/proc`, or what stands for it in tests.
    let root: String

    func findings() -> [Finding] {
        let owners = processesByInode()
        var found: [Finding] = []
        for (table, isIPv6) in [("net/tcp", false), ("net/tcp6", true)] {
            for line in lines(table).dropFirst() {
                let fields = line.split(separator: " ")
                // 0A is TCP_LISTEN.
                guard fields.count > 9, fields[3] == "0A", let (address, port) = Self.address(fields[1], isIPv6) else {
                    continue
                }
                guard let finding = finding(address, port, owners[String(fields[9])]) else { continue }
                // A server that listens at several addresses is one server.
                let isKnown = found.contains { other in
                    guard case .host(_, port) = other.place else { return false }
                    return other.adapter == finding.adapter
                }
                if !isKnown { found.append(finding) }
            }
        }
        return preferringSockets(found)
    }

    private func finding(_ address: String, _ port: Int, _ process: String?) -> Finding? {
        let place = Finding.Place.host(host: address, port: port)
        if let process {
            // A container's port on the host; the container itself is found elsewhere.
            if ["docker-proxy", "rootlessport", "pasta"].contains(process) { return nil }
            if let adapter = KnownSystems.processes[process] {
                // A cluster's other ports are not for clients.
                if adapter == "etcd", port == 2380 { return nil }
                return Finding(adapter: adapter, place: place, evidence: "process \(process) at \(address):\(port)")
            }
            guard process == "java", port == 9042 else { return nil }
            return Finding(
                adapter: "cassandra", place: place, evidence: "process java at \(address):\(port)", isGuess: true)
        }
        guard let adapter = KnownSystems.ports[port] else { return nil }
        return Finding(
            adapter: adapter, place: place, evidence: "something at \(address):\(port), not to be looked at",
            isGuess: true)
    }

    /// A Unix socket of PostgreSQL or Redis lets in without a network and often without a password.
    private func preferringSockets(_ found: [Finding]) -> [Finding] {
        var found = found
        for line in lines("net/unix").dropFirst() {
            guard let path = line.split(separator: " ").last.map(String.init), path.hasPrefix("/") else { continue }
            let name = path.split(separator: "/").last ?? ""
            if let port = name.hasPrefix(".s.PGSQL.") ? Int(name.dropFirst(9)) : nil {
                let folder = String(path.dropLast(name.count + 1))
                let finding = Finding(
                    adapter: "postgresql", place: .host(host: folder, port: port), evidence: "socket \(path)")
                replace(&found, "postgresql", port: port, by: finding)
            } else if name.hasSuffix(".sock"), name.contains("redis") || name.contains("valkey") {
                let finding = Finding(adapter: "redis", place: .host(host: path, port: 0), evidence: "socket \(path)")
                replace(&found, "redis", port: 6379, by: finding)
            }
        }
        return found
    }

    private func replace(_ found: inout [Finding], _ adapter: String, port: Int, by finding: Finding) {
        let index = found.firstIndex { $0.adapter == adapter && $0.place.port == port }
        guard let index else {
            if !found.contains(where: { $0.adapter == adapter && $0.place == finding.place }) { found.append(finding) }
            return
        }
        found[index] = finding
    }

    // MARK: /proc

    /// A table's lines. The kernel gives it page by page, and when sockets come and go meanwhile, others are left out: so it is
    /// read twice.
    private func lines(_ name: String) -> [Substring] {
        var seen: Set<Substring> = []
        return (0..<2).flatMap { _ in
            String(decoding: Self.bytes("\(root)/\(name)"), as: UTF8.self).split(separator: "\n")
                .filter { seen.insert($0).inserted }
        }
    }

    /// All of a file whose length nobody knows beforehand: Foundation takes the first page that is shorter than it asked for
    /// as the end. A table that is not there has no sockets.
    private static func bytes(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "re") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
        }
    }

    /// Names of processes by the inode of each socket they have; those of other users only for root.
    private func processesByInode() -> [String: String] {
        let files = FileManager.default
        var owners: [String: String] = [:]
        // What cannot be looked at is left out, as said.
        for pid in (try? files.contentsOfDirectory(atPath: root)) ?? [] where Int(pid) != nil {
            let folder = "\(root)/\(pid)/fd"
            let numbers = (try? files.contentsOfDirectory(atPath: folder)) ?? []  // as above
            guard !numbers.isEmpty, let data = files.contents(atPath: "\(root)/\(pid)/comm") else { continue }
            let name = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            for number in numbers {
                // A descriptor may be closed in between.
                guard let target = try? files.destinationOfSymbolicLink(atPath: "\(folder)/\(number)"),
                    target.hasPrefix("socket:["), target.hasSuffix("]")
                else { continue }
                owners[String(target.dropFirst(8).dropLast())] = name
            }
        }
        return owners
    }

    /// `0100007F:1538` is 127.0.0.1:5432: the address in the machine's byte order, word by word. An address that means
    /// every one is given as the loopback.
    static func address(_ text: Substring, _ isIPv6: Bool) -> (String, Int)? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let port = Int(parts[1], radix: 16) else { return nil }
        let digits = Array(parts[0])
        var bytes: [UInt8] = []
        for word in stride(from: 0, to: digits.count, by: 8) {
            guard word + 8 <= digits.count, let value = UInt32(String(digits[word..<(word + 8)]), radix: 16) else {
                return nil
            }
            for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
        }
        guard bytes.count == (isIPv6 ? 16 : 4) else { return nil }
        if bytes.allSatisfy({ $0 == 0 }) { return ("127.0.0.1", port) }
        if !isIPv6 { return (bytes.map(String.init).joined(separator: "."), port) }
        if bytes.dropLast().allSatisfy({ $0 == 0 }), bytes.last == 1 { return ("::1", port) }
        if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 255, bytes[11] == 255 {
            return (bytes.suffix(4).map(String.init).joined(separator: "."), port)
        }
        let words = stride(from: 0, to: 16, by: 2).map { String(Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]), radix: 16) }
        return (words.joined(separator: ":"), port)
    }
}

extension Finding.Place {
    /// The port, for a place of this host.
    var port: Int? {
        guard case .host(_, let port) = self else { return nil }
        return port
    }
}
