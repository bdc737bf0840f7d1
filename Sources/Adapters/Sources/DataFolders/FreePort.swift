// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// Ports for throw-away servers of this host.
public enum FreePort {
    /// Ports of 127.0.0.1 that nobody has at this moment, all different. By the time a server binds one it may be taken.
    public static func find(_ count: Int) throws -> [Int] {
        var (ports, descriptors): ([Int], [Int32]) = ([], [])
        defer { for descriptor in descriptors { close(descriptor) } }
        for _ in 0..<count {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw Failure(.localInput, "unable to make a socket") }
            descriptors.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
                }
            }
            guard status == 0 else { throw Failure(.localInput, "unable to find a free port") }
            ports.append(Int(UInt16(bigEndian: address.sin_port)))
        }
        return ports
    }
}
