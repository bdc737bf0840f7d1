// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Transports that stand within an adapter's own settings: those of a part of a source, such as a node of a ring.
public enum PartTransports {
    /// Reads what would be the value of a source's `transport`.
    ///
    /// - Throws: `Failure(.configuration)` with file and line.
    public static func read(_ node: ConfigNode) throws -> TransportSettings {
        let mapping = ConfigNode.mapping([("transport", node.mark, node)], node.mark)
        return try TransportReader.read(ConfigReader(mapping, path: "", allowed: ["transport"]))
    }
}
